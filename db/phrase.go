package db

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sethvargo/go-diceware/diceware"
)

const suggestedWords = 6

// SuggestPassphrase makes up six words from the EFF's long list, with spaces between them: 77 bits, of those words that may be
// suggested. CheckPassword takes it.
func SuggestPassphrase() (string, error) {
	for range 10 {
		words, err := diceware.Generate(3 * suggestedWords) // more than are needed: the first that may be suggested are as much by chance as all
		if err != nil {
			return "", fmt.Errorf("make up a passphrase: %w", err)
		}
		words = slices.DeleteFunc(words, func(w string) bool { return !suggestible(w) })
		if len(words) < suggestedWords {
			continue
		}
		if p := strings.Join(words[:suggestedWords], " "); CheckPassword(p) == nil {
			return p, nil
		}
	}
	return "", errors.New("make up a passphrase: none of ten was good enough")
}

// unfit is how words begin that a clinic does not say to people unasked: of belief, politics, sex, violence, illness and death. Some
// words that would do go with them; there are enough.
var unfit = strings.Fields(`
	angelic apostl buddh clergy crusad curse daredevil deacon devot divin islam monk occult pagan pope prayer praying preach sacr sermon sinless sinner
	spirit theolog unbless ungod unholy worship

	activis captive democrat dictat electab electi enslav fascis ideolog impeach liberty marx national patriot presid racis rebel regime revolt senat
	suffrag traitor treach treason unelect vote voting

	abreast arous flirt gender groin kiss lust mating ovary pantyhose pregnan sedu sensual sultry thong unclothed undress unisex unzip womb

	agoni ambush arson backstab bruis brut bully casket cruel dagger deceas depriv drown embattl entomb evil explod fright gore gory graves graveyard
	grim handgun harmf hate hatred hurt imprison jail maim mortu mourn mutil onslaught outshoot overkill poison postwar prewar prison punish reburial
	scarr shank slain smash strangle suffer theft threat undead undying unwarlike venom wound

	abdom abnormal antibod antitox antivir autis backache bacteri cannabis capillar clinic coma cough cramp crazy deaf delous depress detox diabet disab
	disfig disinf dizz dose earache egomania epidem epilep famish fever fractur germ glaucoma headache imbec impair mumps mute neuro nurs obsess opium
	pandem paraly paramed parasit patient phobia psych purg rabid rash relaps scab scurvy sedat seiz smok sneez sprain starv stupor surger surgic syndrom
	tainted twitch viral virus`)

// suggestible says whether a word of the list may be suggested.
func suggestible(word string) bool {
	return !slices.ContainsFunc(unfit, func(begins string) bool { return strings.HasPrefix(word, begins) })
}
