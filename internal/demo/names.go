package demo

// Common names of many places, in Latin script because e-mail addresses are derived from
// them.

var firstNames = []string{
	"Aaliyah", "Adaeze", "Agnieszka", "Ahmed", "Aiko", "Alejandro", "Amara", "Amelia", "Amina", "Anaïs",
	"Ananya", "Andrei", "Anh", "Anna", "Antonio", "Arjun", "Asel", "Astrid", "Ayşe", "Beatriz",
	"Björn", "Camille", "Carlos", "Catarina", "Chiara", "Chidi", "Chloé", "Daniel", "Dimitra", "Dmytro",
	"Eero", "Elena", "Elif", "Emeka", "Emily", "Emma", "Esther", "Fatima", "Femi", "Finn",
	"François", "Freya", "Gabriel", "Giulia", "Grace", "Hana", "Hannah", "Haruto", "Hassan", "Helga",
	"Hiroshi", "Ibrahim", "Ines", "Ingrid", "Isabel", "Ivana", "Jakub", "James", "Jana", "Javier",
	"Jin", "João", "Jonas", "José", "Kalani", "Karim", "Kofi", "Kwame", "Laila", "Lars",
	"Leilani", "Liam", "Lucía", "Luka", "Magdalena", "Malia", "Marek", "Mariam", "Matteo", "Mei",
	"Mohammed", "Nadia", "Ngozi", "Nia", "Nikolaos", "Noor", "Nurul", "Olena", "Oluwaseun", "Omar",
	"Paolo", "Petra", "Priya", "Rafael", "Rania", "Ravi", "Rosa", "Ruth", "Sakura", "Samira",
	"Sanjay", "Sofia", "Søren", "Tamar", "Tariq", "Thandiwe", "Tomáš", "Yusuf", "Zeynep", "Zoë",
}

var lastNames = []string{
	"Abdullah", "Abebe", "Adeyemi", "Agarwal", "Ahmadi", "Al-Masri", "Álvarez", "Andersson", "Antonescu", "Balogun",
	"Banda", "Baptista", "Barbosa", "Becker", "Bergström", "Bianchi", "Bondarenko", "Boateng", "Brown", "Carvalho",
	"Castillo", "Chanda", "Chen", "Çelik", "Costa", "Cruz", "Da Silva", "Delacroix", "Demir", "Diallo",
	"Dlamini", "Dubois", "Ekström", "Eriksen", "Esposito", "Farah", "Fernández", "Ferrari", "Fischer", "Fontaine",
	"Fujimoto", "Gagnon", "García", "Georgiou", "Ghosh", "Girard", "Gonzalez", "Górski", "Gupta", "Haddad",
	"Hakimi", "Hansen", "Hashimoto", "Hoang", "Horvat", "Hughes", "Hussein", "Ibarra", "Ivanova", "Jackson",
	"Jansen", "Johansson", "Jones", "Kamau", "Kang", "Kaplan", "Karimi", "Kaur", "Keller", "Khan",
	"Kim", "Kovács", "Kowalska", "Kruger", "Kurt", "Larsen", "Leclerc", "Lefèvre", "Levi", "Lim",
	"Lindqvist", "López", "MacDonald", "Mahlangu", "Martin", "Mendes", "Mensah", "Meyer", "Mizrahi", "Morales",
	"Müller", "Murphy", "Mwangi", "Nakamura", "Nasser", "Ndlovu", "Nguyễn", "Nielsen", "Novák", "Nowak",
	"O'Brien", "O'Sullivan", "Okafor", "Olsen", "Ortiz", "Osei", "Papadopoulos", "Park", "Patel", "Petrov",
	"Pham", "Popescu", "Rahman", "Ramírez", "Rossi", "Saito", "Santos", "Schneider", "Shevchenko", "Silva",
	"Singh", "Smith", "Sørensen", "Tadesse", "Takahashi", "Tamm", "Taylor", "Tran", "Traoré", "Van den Berg",
	"Vargas", "Virtanen", "Wagner", "Wang", "Weber", "Williams", "Wójcik", "Yamamoto", "Yılmaz", "Zhang",
}
