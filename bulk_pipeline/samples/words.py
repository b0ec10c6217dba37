"""Words that samples are made of, with the accents, quotes and commas that real data has."""

FIRST_NAMES = (
    "Ada", "Agnes", "Aisha", "Akira", "Alan", "Alba", "Amara", "Amir", "Ana", "Anders", "Anna", "António",
    "Astrid", "Aylin", "Barbara", "Ben", "Björn", "Blaise", "Bruno", "Carla", "Carlos", "Chidi", "Chloé",
    "Clara", "Daniel", "Dariusz", "Diego", "Donald", "Edith", "Elena", "Elif", "Emil", "Emma", "Erik",
    "Esther", "Eva", "Fatima", "Felix", "Finn", "Frances", "François", "Freya", "Gabriel", "George",
    "Grace", "Greta", "Gustav", "Hana", "Hannah", "Hedy", "Helena", "Hiroshi", "Hugo", "Ida", "Ingrid",
    "Iris", "Isaac", "Isabel", "Ivan", "Jakub", "James", "Jana", "Jean", "Joan", "João", "John", "Jonas",
    "José", "Juan", "Julia", "Karen", "Katherine", "Kenji", "Kofi", "Lars", "Laura", "Leila", "Lena",
    "Leo", "Liam", "Linus", "Lucía", "Lukas", "Magda", "Margaret", "Maria", "Marie", "Mary", "Mateo",
    "Maya", "Mei", "Mia", "Michael", "Mina", "Mohamed", "Nadia", "Nils", "Nina", "Noah", "Noor", "Olga",
    "Oliver", "Omar", "Oskar", "Pablo", "Paula", "Pedro", "Priya", "Radia", "Ravi", "René", "Rosa",
    "Ruth", "Samir", "Sara", "Sofia", "Søren", "Tariq", "Theo", "Thomas", "Tim", "Uma", "Vera", "Victor",
    "Wanjiru", "Wei", "Yara", "Yuki", "Yusuf", "Zoë", "Łukasz",
)  # fmt: skip

LAST_NAMES = (
    "Adeyemi", "Allen", "Almeida", "Andersen", "Babbage", "Bauer", "Becker", "Berg", "Bianchi", "Björk",
    "Braun", "Brown", "Carter", "Castro", "Chen", "Clarke", "Costa", "Cruz", "Curie", "Davies", "Demir",
    "Diaz", "Dijkstra", "Dubois", "Eriksson", "Evans", "Fernández", "Ferrari", "Fischer", "Fontaine",
    "Franklin", "García", "Gauß", "Germain", "Gupta", "Haddad", "Hamilton", "Hansen", "Hassan",
    "Hernández", "Hoffmann", "Hopper", "Horváth", "Huber", "Ibrahim", "Ito", "Ivanova", "Jansen",
    "Jensen", "Johnson", "Jones", "Kaya", "Keller", "Khan", "Kim", "Knuth", "Kovács", "Kowalski", "Kumar",
    "Lamarr", "Lamport", "Larsen", "Lee", "Lehmann", "Lewis", "Liskov", "Lopez", "Lovelace", "Martin",
    "Meier", "Mensah", "Mitchell", "Moreau", "Moreno", "Müller", "Murphy", "Nakamura", "Nguyen",
    "Nielsen", "Novak", "Nowak", "Okafor", "Okoye", "Olsen", "Ortiz", "Park", "Patel", "Pereira",
    "Perlman", "Petrov", "Popescu", "Ramírez", "Reyes", "Ricci", "Rivera", "Rossi", "Sánchez", "Santos",
    "Sato", "Schmidt", "Schneider", "Silva", "Singh", "Smith", "Suzuki", "Tanaka", "Taylor", "Torres",
    "Turing", "Wagner", "Walker", "Wang", "Weber", "White", "Wilson", "Wolf", "Wójcik", "Yamamoto",
    "Yilmaz", "Young", "Zhang", "Zimmermann", "O'Brien", "O'Neill", "de la Cruz", "van der Berg",
    "Smith, Jr.", 'Johnson "Jo" Lee',
)  # fmt: skip

MAIL_NAMES = (
    "ada", "anna", "ben", "carla", "chen", "clara", "daniel", "elena", "emil", "emma", "erik", "eva",
    "felix", "grace", "hana", "hugo", "ida", "ivan", "jana", "joan", "jonas", "julia", "kofi", "lars",
    "laura", "lena", "leo", "linus", "lukas", "maria", "maya", "mia", "nadia", "nina", "noah", "olga",
    "omar", "pablo", "paula", "priya", "ravi", "rosa", "ruth", "samir", "sara", "sofia", "theo", "tim",
    "uma", "vera", "victor", "wei", "yara", "yuki", "yusuf", "zoe",
)  # fmt: skip

MAIL_DOMAINS = (
    "example.com", "example.org", "example.net", "mail.example.com", "post.example.org",
    "uni.example.edu",
)  # fmt: skip

CITIES = (
    "Accra", "Amsterdam", "Athens", "Barcelona", "Berlin", "Bogotá", "Boston", "Cairo", "Cape Town",
    "Chicago", "Copenhagen", "Dublin", "Göteborg", "Hamburg", "Helsinki", "Istanbul", "Kraków", "Kyiv",
    "Lagos", "Lima", "Lisbon", "London", "Lyon", "Madrid", "Malmö", "Mexico City", "Milan", "Montréal",
    "Mumbai", "München", "Nairobi", "New York", "Oslo", "Paris", "Praha", "Reykjavík", "Roma", "San José",
    "São Paulo", "Seoul", "Singapore", "Stockholm", "Sydney", "Tokyo", "Toronto", "Warszawa",
    "Washington, D.C.", "Wien", "Zürich", "京都",
)  # fmt: skip

SUBJECTS = (
    "the archive", "a reader", "the new bridge", "every library", "our garden", "the old harbour",
    "a good index", "the night train", "the committee", "a small team", "the museum", "her notebook",
    "the river", "this recipe", "the observatory", "a patient editor",
)  # fmt: skip

VERBS = (
    "explains", "opens", "follows", "hides", "remembers", "changes", "measures", "connects", "keeps",
    "questions", "improves", "outlives", "surprises", "describes", "borrows from", "returns to",
)  # fmt: skip

OBJECTS = (
    "a second draft", "the city", "an empty table", "what came before", "the long way round",
    "three simple rules", "the first snow", 'what she called "the plan"', "the map, slowly",
    "a café in Kraków", "the whole story", "an honest mistake", "half of the answer", "the weather",
    "more questions", "its own limits",
)  # fmt: skip

TOPICS = (
    "archives", "bridges", "cities", "data", "energy", "film", "gardens", "history", "ideas", "journeys",
    "kitchens", "language", "music", "networks", "oceans", "poetry", "queues", "rivers", "science",
    "trains", "urban", "voices", "weather", "words",
)  # fmt: skip
