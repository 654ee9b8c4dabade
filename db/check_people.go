package db

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"golang.org/x/crypto/bcrypt"
)

// examplePasswords are those of the predecessor's guide, and what else stands in guides. The user's own name is tried too.
var examplePasswords = []string{"test", "your-password", "your-secure-password", "admin", "password", "admin123", "changeme", "secret"}

// exampleBudget is how many bcrypts of cost 12 the search for example passwords may take: on two cores some eight seconds.
const exampleBudget = 60

func lookAdmin(ctx context.Context, i *inspection) (Check, error) {
	var has bool
	if err := i.conn.QueryRow(ctx, hasAdminSQL).Scan(&has); err != nil {
		return Check{}, err
	}
	if !has {
		return Check{Result: CheckWarn, Found: "there is no administrator who could manage the users", Mend: "`chartroom user create --username NAME --role admin`, or `chartroom user set-role NAME admin`"}, nil
	}
	return passed("there is one")
}

// hashProblem says why nobody can sign in with a hash, "" when it is good. It quotes nothing of it.
func hashProblem(hash string) string {
	inner, _ := strings.CutPrefix(hash, longPrefix)
	switch m := usable.FindStringSubmatch(inner); {
	case m != nil:
		cost, _ := strconv.Atoi(m[1])
		switch {
		case cost < bcrypt.MinCost:
			return fmt.Sprintf("the password's hash has the cost %d, and bcrypt begins at %d", cost, bcrypt.MinCost)
		case cost > maxCost:
			return fmt.Sprintf("the password's hash has the cost %d: more than %d would hold a processor for seconds", cost, maxCost)
		}
		return ""
	case hash == "":
		return "there is no password"
	case strings.HasPrefix(inner, "$2x$"), strings.HasPrefix(inner, "$2$"):
		return "the password's hash is of a bcrypt that was faulty ($2x$, $2$)"
	case strings.HasPrefix(inner, "$2"):
		return fmt.Sprintf("the password's hash is damaged: bcrypt's have 60 characters, this one has %d", len(inner))
	}
	return "the password's hash is not bcrypt's"
}

type hashed struct {
	Username     string
	Role         string
	PasswordHash string
}

// activeHashes come in the order in which they are worth a look: administrators first, then those whom the predecessor left.
func activeHashes(ctx context.Context, i *inspection) ([]hashed, error) {
	rows, err := i.conn.Query(ctx, `SELECT username, role, password_hash FROM users WHERE is_active
		ORDER BY role <> 'admin', password_hash NOT SIMILAR TO '\$2[by]\$%', id`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[hashed])
}

func lookHashes(ctx context.Context, i *inspection) (Check, error) {
	all, err := activeHashes(ctx, i)
	if err != nil {
		return Check{}, err
	}
	var names []string
	for _, u := range all {
		if hashProblem(u.PasswordHash) != "" {
			names = append(names, u.Username)
		}
	}
	if len(names) > 0 {
		return Check{Result: CheckWarn, Found: fmt.Sprintf("%d of %d active users cannot sign in, their password's hash is not usable: %s", len(names), len(all), quoteFew(names)),
			Mend: "`chartroom user check NAME` says why; `chartroom user set-password NAME` or `user invite NAME` mends it"}, nil
	}
	return passed("usable, of all %d active users", len(all))
}

func quoteFew(names []string) string {
	var quoted []string
	for _, n := range names[:min(len(names), 3)] {
		quoted = append(quoted, strconv.Quote(n))
	}
	if len(names) > 3 {
		quoted = append(quoted, "…")
	}
	return strings.Join(quoted, ", ")
}

// lookExamplePasswords tries the passwords that guides print, within a budget, on two cores at most.
func lookExamplePasswords(ctx context.Context, i *inspection) (Check, error) {
	all, err := activeHashes(ctx, i)
	if err != nil {
		return Check{}, err
	}
	var tried []hashed
	left := float64(exampleBudget)
	for _, u := range all {
		inner, _ := strings.CutPrefix(u.PasswordHash, longPrefix)
		cost, err := bcrypt.Cost([]byte(inner))
		if err != nil || hashProblem(u.PasswordHash) != "" || strings.HasPrefix(u.PasswordHash, longPrefix) { // none of them is that long
			tried = append(tried, hashed{Username: u.Username})
			continue
		}
		price := float64(uint(1)<<cost) / (1 << todaysCost) * float64(len(examplePasswords)+1)
		if left -= price; left < 0 && len(tried) > 0 {
			break
		}
		tried = append(tried, u)
	}
	found := tryExamples(ctx, tried)
	if err := ctx.Err(); err != nil {
		return Check{}, err
	}
	looked := fmt.Sprintf("%d of %d active users were looked at, administrators first", len(tried), len(all))
	if len(found) > 0 {
		return Check{Result: i.grave(), Found: fmt.Sprintf("the password of %s stands in a guide (%s)", quoteFew(found), looked), Mend: "`chartroom user set-password NAME --generate`, for each"}, nil
	}
	return passed("none has one: %s, with %d passwords each", looked, len(examplePasswords)+1)
}

func tryExamples(ctx context.Context, users []hashed) (found []string) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	next := make(chan hashed)
	for range min(2, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for u := range next {
				for _, p := range append([]string{u.Username}, examplePasswords...) {
					if ctx.Err() == nil && u.PasswordHash != "" && len(p) <= bcryptBytes && bcrypt.CompareHashAndPassword([]byte(u.PasswordHash), []byte(p)) == nil {
						mu.Lock()
						found = append(found, u.Username)
						mu.Unlock()
						break
					}
				}
			}
		})
	}
	for _, u := range users {
		next <- u
	}
	close(next)
	wg.Wait()
	slices.Sort(found)
	return found
}
