package sample

import (
	"strings"
)

// culture is where a name comes from: enough lists of parts to make it plausible, none of them a list of persons.
// The commonest stand first, because common names are what two rows are mixed up by. "a|b" is a family name with a
// man's and a woman's form.
type culture struct {
	weight   int // in a thousand
	language string
	home     []place
	family   []string
	women    []string
	men      []string
	double   string // what joins two family names, "" where one is the custom
	joined   bool   // the family name is written first, without a space
}

// place is a real city, with the country's ISO 3166 code.
type place struct{ city, state, country string }

func words(s string) []string { return strings.Fields(s) }

// here is where most live whatever their name: the clinic's country and the one next door to its phone book.
var here = []place{
	{"Springfield", "IL", "US"}, {"Houston", "TX", "US"}, {"Philadelphia", "PA", "US"}, {"Phoenix", "AZ", "US"},
	{"Sacramento", "CA", "US"}, {"Worcester", "MA", "US"}, {"Saint Paul", "MN", "US"}, {"Albuquerque", "NM", "US"},
	{"Portland", "OR", "US"}, {"Coeur d’Alene", "ID", "US"}, {"Brooklyn", "NY", "US"}, {"Española", "NM", "US"},
	{"Leeds", "", "GB"}, {"Bristol", "", "GB"}, {"Newcastle upon Tyne", "", "GB"}, {"Llanelli", "", "GB"},
}

// cultures add up to 1000; those in Latin script to 750.
var cultures = []culture{
	{weight: 260, language: "en", home: here,
		family: words("Smith Johnson Williams Brown Jones Miller Davis Wilson Taylor Clark Lewis Walker Hall Young King Wright Hill Green Baker Carter Mitchell Roberts Turner Parker Evans Collins Stewart Morris Cook Rogers Bell Ward Cooper Reed Bailey Foster Hughes Price Bennett Wood Barnes Ross Henderson Coleman Jenkins Perry Powell Long Patterson Whitfield Ashdown Thistlewood Featherstonehaugh Ng Oh"),
		women:  words("Mary Emma Olivia Sarah Elizabeth Jennifer Linda Susan Karen Nancy Margaret Ashley Emily Donna Michelle Carol Amanda Melissa Deborah Stephanie Rebecca Laura Grace Hannah Chloe Ruby Ivy Florence Beatrice Winifred"),
		men:    words("James John Robert Michael William David Richard Joseph Thomas Charles Daniel Matthew Anthony Mark Donald Steven Paul Andrew Joshua Kenneth Kevin Brian George Edward Ryan Jacob Noah Liam Oscar Alfie")},
	{weight: 125, language: "es", double: " ",
		home:   []place{{"Guadalajara", "", "MX"}, {"A Coruña", "", "ES"}, {"Bogotá", "", "CO"}, {"San Juan", "PR", "US"}, {"El Paso", "TX", "US"}},
		family: words("García Rodríguez Martínez Hernández López González Pérez Sánchez Ramírez Torres Flores Rivera Gómez Díaz Reyes Morales Cruz Ortiz Gutiérrez Chávez Ramos Ruiz Álvarez Mendoza Vásquez Castillo Jiménez Moreno Muñoz Núñez Peña Ibáñez Zúñiga Ordóñez Argüelles"),
		women:  words("María Guadalupe Carmen Ana Lucía Sofía Isabel Rosa Elena Beatriz Ximena Valentina Camila Inés Concepción Itziar Marisol Noemí"),
		men:    words("José Juan Luis Carlos Miguel Jesús Antonio Alejandro Jorge Andrés Raúl Ramón Íñigo Mateo Santiago Joaquín Sebastián Ángel")},
	{weight: 55, language: "fr", home: []place{{"Orléans", "", "FR"}, {"Québec", "QC", "CA"}, {"Liège", "", "BE"}, {"Lafayette", "LA", "US"}},
		family: words("Martin Bernard Dubois Robert Richard Petit Durand Leroy Moreau Lefèvre Fournier Girard Mercier Gauthier Lévesque Côté Bélanger Tremblay Bouchard Desrosiers L’Hermite d’Aubigny Le_Guennec de_La_Roche"),
		women:  words("Marie Camille Léa Chloé Élise Hélène Françoise Anaïs Zoé Maëlle Geneviève Agnès Thérèse Océane"),
		men:    words("Jean Pierre Michel André François Louis Étienne Rémi Noël Gaël Théo Jérôme Benoît Hervé Jean-Luc")},
	{weight: 50, language: "de", home: []place{{"Köln", "", "DE"}, {"Zürich", "", "CH"}, {"Sankt Pölten", "", "AT"}, {"Fredericksburg", "TX", "US"}},
		family: words("Müller Schmidt Schneider Fischer Weber Meyer Wagner Becker Schulz Hoffmann Schäfer Koch Bauer Richter Klein Wolf Schröder Neumann Krüger Groß Weiß Jäger Vöß von_der_Heide Müller-Ahornbach"),
		women:  words("Anna Ursula Sabine Petra Monika Käthe Jutta Mia Lena Grete Änne Heike Gisela Bärbel"),
		men:    words("Hans Peter Wolfgang Klaus Jürgen Günther Jörg Björn Lukas Felix Götz Uwe Karl-Heinz Matthias")},
	{weight: 45, language: "pt", double: " ", home: []place{{"São Paulo", "SP", "BR"}, {"Coimbra", "", "PT"}, {"Fall River", "MA", "US"}},
		family: words("Silva Santos Oliveira Souza Pereira Costa Rodrigues Almeida Nascimento Araújo Gonçalves Conceição Simões Brandão Falcão da_Cruz dos_Reis"),
		women:  words("Maria Ana Francisca Antônia Adriana Juliana Márcia Fernanda Patrícia Letícia Conceição Inês"),
		men:    words("José João Antônio Francisco Carlos Paulo Lucas Luís Simão Tomé Abraão Estêvão")},
	{weight: 40, language: "it", home: []place{{"Forlì", "", "IT"}, {"L’Aquila", "", "IT"}, {"Lugano", "", "CH"}},
		family: words("Rossi Russo Ferrari Esposito Bianchi Romano Colombo Ricci Marino Greco Bruno Gallo Conti De_Luca D’Angelo Dall’Acqua Niccolò Cantù"),
		women:  words("Maria Anna Giuseppina Rosa Angela Giulia Chiara Francesca Desirée Nicoletta Donatella"),
		men:    words("Giuseppe Giovanni Antonio Mario Luigi Francesco Niccolò Matteo Gianluca Ettore Salvatore")},
	{weight: 35, language: "pl", home: []place{{"Łódź", "", "PL"}, {"Chicago", "IL", "US"}},
		family: words("Nowak Kowalski|Kowalska Wiśniewski|Wiśniewska Wójcik Kowalczyk Kamiński|Kamińska Lewandowski|Lewandowska Zieliński|Zielińska Szymański|Szymańska Woźniak Dąbrowski|Dąbrowska Kozłowski|Kozłowska Mazur Źdźbło Szczebrzeszyński|Szczebrzeszyńska"),
		women:  words("Anna Maria Katarzyna Małgorzata Agnieszka Krystyna Zofia Łucja Bożena Żaneta"),
		men:    words("Jan Andrzej Piotr Krzysztof Stanisław Tomasz Paweł Łukasz Michał Wojciech Grzegorz")},
	{weight: 35, language: "vi", home: []place{{"Đà Nẵng", "", "VN"}, {"Garden Grove", "CA", "US"}},
		family: words("Nguyễn Trần Lê Phạm Huỳnh Hoàng Phan Vũ Võ Đặng Bùi Đỗ Hồ Ngô Dương"),
		women:  []string{"Thị Hương", "Ngọc Ánh", "Thu Hà", "Thị Mỹ Duyên", "Bích Phượng", "Lan", "Thảo", "Quỳnh"},
		men:    []string{"Văn Hùng", "Quốc Đạt", "Minh", "Đức Thắng", "Hữu Phước", "Tuấn", "Bảo Long", "Khải"}},
	{weight: 20, language: "tr", home: []place{{"İzmir", "", "TR"}, {"Eskişehir", "", "TR"}},
		family: words("Yılmaz Kaya Demir Şahin Çelik Yıldız Yıldırım Öztürk Aydın Özdemir Arslan Doğan Kılıç Işık Ağaoğlu"),
		women:  words("Fatma Ayşe Emine Hatice Zeynep Elif Gülşah İpek Özge Çiğdem"),
		men:    words("Mehmet Mustafa Ahmet Ali Hüseyin İbrahim Ömer Çağrı Uğur Işık")},
	{weight: 15, language: "cs", home: []place{{"Plzeň", "", "CZ"}, {"České Budějovice", "", "CZ"}},
		family: words("Novák|Nováková Svoboda|Svobodová Novotný|Novotná Dvořák|Dvořáková Černý|Černá Procházka|Procházková Kučera|Kučerová Veselý|Veselá Říha|Říhová"),
		women:  words("Jana Marie Eva Hana Kateřina Zdeňka Růžena Bětka"), men: words("Jiří Jan Petr Tomáš Zdeněk Václav Ondřej Řehoř")},
	{weight: 15, language: "sv", home: []place{{"Malmö", "", "SE"}, {"Ålesund", "", "NO"}, {"Århus", "", "DK"}},
		family: words("Andersson Johansson Karlsson Nilsson Eriksson Hansen Sørensen Åkesson Öberg Sjöström Bråten Nygård"),
		women:  words("Anna Eva Märta Åsa Ingrid Solveig Bjørg Linnéa"), men: words("Lars Nils Åke Göran Bjørn Søren Håkan Jörgen")},
	{weight: 10, language: "is", home: []place{{"Reykjavík", "", "IS"}},
		family: words("Jónsson|Jónsdóttir Sigurðsson|Sigurðardóttir Guðmundsson|Guðmundsdóttir Þórsson|Þórsdóttir Björnsson|Björnsdóttir"),
		women:  words("Guðrún Sigríður Þóra Ásta Æsa"), men: words("Jón Sigurður Þór Ægir Ólafur")},
	{weight: 10, language: "hu", home: []place{{"Győr", "", "HU"}},
		family: words("Nagy Kovács Tóth Szabó Horváth Varga Kiss Molnár Németh Sütő Őze"),
		women:  words("Mária Erzsébet Katalin Ilona Zsófia Tünde"), men: words("László István József Zoltán Győző Ödön")},
	{weight: 10, language: "ro", home: []place{{"Iași", "", "RO"}, {"Timișoara", "", "RO"}},
		family: words("Popa Popescu Ionescu Rusu Stan Munteanu Șerban Țurcanu Vlăduț"),
		women:  words("Maria Elena Ioana Ștefania Crăița"), men: words("Ion Gheorghe Ștefan Răzvan Ilieș")},
	{weight: 10, language: "yo", home: []place{{"Ìbàdàn", "", "NG"}},
		family: words("Adébáyọ̀ Ọláwálé Adéyẹmí Ògúnlẹ́yẹ Akínṣọlá Babátúndé"),
		women:  words("Fọlákẹ́ Títílayọ̀ Yétúndé Àbẹ̀kẹ́"), men: words("Olúwaṣeun Túndé Ṣẹ́gun Kọ́lá")},
	{weight: 10, language: "ga", home: []place{{"Dún Laoghaire", "", "IE"}, {"Galway", "", "IE"}},
		family: words("Ó_Murchú|Ní_Mhurchú Ó_Briain|Ní_Bhriain Mac_Cárthaigh|Nic_Cárthaigh O’Sullivan O’Connor O'Neill MacGillycuddy"),
		women:  words("Síle Aoife Niamh Gráinne Caoimhe Órla"), men: words("Seán Pádraig Ciarán Séamus Tadhg Oisín")},
	{weight: 5, language: "haw", home: []place{{"Kāneʻohe", "HI", "US"}},
		family: words("Kealoha Kahananui Kalaniʻōpuʻu Keliʻihoʻomalu"),
		women:  words("Leilani Kuʻulei Haunani"), men: words("Kaleo Kekoa ʻIolani")},

	{weight: 60, language: "zh", joined: true, home: []place{{"上海市", "", "CN"}, {"臺北市", "", "TW"}, {"成都市", "", "CN"}},
		family: words("王 李 張 张 刘 陳 陈 杨 黄 赵 吴 周 徐 孙 马 欧阳 司马"),
		women:  words("芳 敏 静 丽 秀英 桂香 雅婷 淑芬 欣怡 小红 月娥 雨桐"), men: words("伟 强 磊 军 志明 俊杰 国栋 建华 家豪 浩然 子轩 鹏")},
	{weight: 40, language: "ar", home: []place{{"القاهرة", "", "EG"}, {"بيروت", "", "LB"}, {"Dearborn", "MI", "US"}},
		family: []string{"محمد", "أحمد", "حسن", "علي", "الخطيب", "الحداد", "المصري", "النجار", "الشامي", "عبد الله", "بن يوسف", "أبو زيد"},
		women:  []string{"فاطمة", "عائشة", "مريم", "زينب", "نور", "هدى", "سلمى", "آمنة"}, men: []string{"محمد", "أحمد", "علي", "حسن", "عمر", "يوسف", "خالد", "عبد الرحمن"}},
	{weight: 38, language: "ru", home: []place{{"Екатеринбург", "", "RU"}, {"Алматы", "", "KZ"}, {"Brighton Beach", "NY", "US"}},
		family: words("Иванов|Иванова Смирнов|Смирнова Кузнецов|Кузнецова Попов|Попова Васильев|Васильева Петров|Петрова Соколов|Соколова Новиков|Новикова Фёдоров|Фёдорова Покровский|Покровская Черных Салтыков-Ершов|Салтыкова-Ершова"),
		women:  words("Анна Елена Ольга Наталья Екатерина Татьяна Юлия Любовь Алёна"), men: words("Александр Сергей Дмитрий Андрей Алексей Пётр Юрий Фёдор Илья")},
	{weight: 12, language: "uk", home: []place{{"Київ", "", "UA"}, {"Львів", "", "UA"}},
		family: words("Мельник Шевченко Коваленко Бондаренко Ткаченко Олійник Ґалаґан Їжакевич Кравець"),
		women:  words("Олена Оксана Ганна Євгенія Їванна Соломія"), men: words("Олександр Тарас Андрій Юрій Євген Ігор")},
	{weight: 25, language: "ja", joined: true, home: []place{{"札幌市", "", "JP"}, {"さいたま市", "", "JP"}},
		family: words("佐藤 鈴木 高橋 田中 伊藤 渡辺 渡邊 山本 中村 小林 加藤 﨑山 ハヤシ"),
		women:  words("陽子 さくら 美咲 結衣 花子 ミドリ かおり 千代"), men: words("太郎 翔太 健一 大輔 ひろし 蓮 ケンジ 正")},
	{weight: 25, language: "ko", joined: true, home: []place{{"부산광역시", "", "KR"}, {"전주시", "", "KR"}},
		family: words("김 이 박 최 정 강 조 윤 장 임 남궁 제갈"),
		women:  words("서연 지민 영희 수진 미경 하은 순자 은정"), men: words("민준 철수 지훈 영수 성민 도윤 현우 정호")},
	{weight: 20, language: "hi", home: []place{{"वाराणसी", "", "IN"}, {"जयपुर", "", "IN"}},
		family: words("शर्मा वर्मा कुमार सिंह गुप्ता यादव पटेल मिश्रा त्रिपाठी ज्ञानी"),
		women:  words("प्रिया सुनीता अनीता कविता ऋतु लक्ष्मी"), men: words("राज अमित संजय विजय कृष्ण श्रीनिवास")},
	{weight: 12, language: "el", home: []place{{"Θεσσαλονίκη", "", "GR"}, {"Λεμεσός", "", "CY"}},
		family: words("Παπαδόπουλος|Παπαδοπούλου Βλάχος|Βλάχου Αγγελόπουλος|Αγγελοπούλου Νικολαΐδης|Νικολαΐδου Γεωργίου Οικονόμου Χατζηιωάννου"),
		women:  words("Μαρία Ελένη Αικατερίνη Ευαγγελία Χρυσάνθη"), men: words("Γεώργιος Ιωάννης Κωνσταντίνος Δημήτριος Ραφαήλ")},
	{weight: 10, language: "he", home: []place{{"חיפה", "", "IL"}, {"באר שבע", "", "IL"}},
		family: []string{"כהן", "לוי", "מזרחי", "פרץ", "ביטון", "פרידמן", "בן־דוד", "צ׳רניאק"},
		women:  []string{"שרה", "רבקה", "נועה", "תמר", "אסתר"}, men: []string{"דוד", "משה", "יוסף", "נעם", "ג׳ורג׳"}},
	{weight: 8, language: "th", home: []place{{"เชียงใหม่", "", "TH"}},
		family: words("ศรีสุข ทองดี แก้วมณี วงศ์สวัสดิ์ บุญเรือง"),
		women:  words("สมหญิง น้ำฝน กัญญา ปิยะนุช"), men: words("สมชาย ณัฐพล ธีรเดช กิตติ")},
}
