"""The people of the generated mail: one owner, colleagues, 150 customer accounts with contacts, senders of bulk mail.

All of them are invented and live in domains reserved for that (RFC 2606: `.example`, `.test`).
"""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

ACCOUNT_COUNT = 150
SHAPE = 0.2  # of the gamma distribution of how often one talks with whom: smaller is more unequal
FIRST_WEEK, LAST_WEEK = 2_000, 4_000  # since 1970: from 2008 to 2046 customers have projects
FREE_MAIL = "correiolivre.test"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an address."""

    name: str
    email: str
    title: str = ""

    @property
    def first(self) -> str:
        return self.name.split()[0]

    @property
    def domain(self) -> str:
        return self.email.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class Account:
    """A customer, as a CRM would hold it. `language` is pt or en."""

    id: int
    name: str
    domain: str
    language: str
    city: str
    contacts: tuple[Person, ...]


@dataclass(frozen=True, slots=True)
class World:
    """Everybody a mailbox of one seed and owner meets.

    Few of them are behind most of the mail. `weights` and `staff_weights`: how often each account (by language) and
    each colleague is talked with; `projects`: how much more of an account in one week than in another.
    """

    owner: Person
    company: str
    staff: tuple[Person, ...]  # whom one works with most, first
    accounts: tuple[Account, ...]
    customers: dict[str, tuple[Account, ...]]  # the accounts by language
    weights: dict[str, tuple[float, ...]]
    staff_weights: tuple[float, ...]
    projects: dict[int, tuple[tuple[int, int], ...]]  # account → (first week, last week) since 1970, in their order
    bulk: tuple[tuple[Person, str, str], ...]  # sender, kind (news, notice, list), language
    strangers: dict[str, tuple[Person, ...]]  # by language


OWNER = Person("Ana Souza", "ana.souza@lumen.example", "Gerente de contas")
OWN_COMPANY = "Lumen Logística"


def words(text: str) -> list[str]:
    """The words of a long literal; a list of quoted strings would fill pages."""
    return text.split()


FIRST = {
    "pt": words(
        """
        Adriana Aline Amanda André Antônio Beatriz Bruna Bruno Camila Carlos Cecília César Cláudia Daniel Débora Diego
        Eduardo Elaine Fábio Felipe Fernanda Gabriel Gustavo Helena Heloísa Henrique Igor Isabela João Joana Juliana
        Larissa Leandro Letícia Lúcia Luís Marcela Márcio Marcos Mariana Mônica Natália Otávio Patrícia Paulo Priscila
        Rafael Raquel Renata Ricardo Rodrigo Sérgio Simone Sônia Tânia Thiago Vanessa Vinícius Viviane Yara
        """
    ),
    "en": words(
        """
        Alice Amelia Andrew Arthur Brian Charlotte Clara Daniel David Edward Eleanor Emma Ethan Fiona Frances George
        Grace Hannah Harriet Helen Henry Ian Jack James Julia Karen Kevin Laura Leonard Lucy Martha Matthew Maya Michael
        Nancy Nora Oliver Patrick Paula Peter Philip Rachel Robert Rose Ruth Samuel Sarah Simon Sophie Susan Theodore
        Thomas Victor Walter
        """
    ),
}
LAST = {
    "pt": words(
        """
        Almeida Andrade Araújo Assunção Barbosa Barros Batista Borges Brandão Campos Cardoso Carvalho Conceição Correia
        Costa Dias Duarte Farias Ferreira Freitas Gomes Gonçalves Guimarães Lacerda Lima Lopes Macedo Magalhães Martins
        Medeiros Melo Mendes Monteiro Moraes Moreira Nogueira Nunes Oliveira Peixoto Pereira Pinheiro Queirós Ramos
        Rezende Ribeiro Rocha Sales Santos Silva Siqueira Tavares Teixeira Vasconcelos Vieira Xavier
        """
    ),
    "en": words(
        """
        Abbott Baker Barnes Bennett Brooks Carter Chapman Clarke Collins Cooper Dawson Ellis Fisher Foster Gibson Grant
        Hayes Holmes Hughes Irving Jennings Keller Lawson Marsh Mason Mitchell Morgan Murray Norris Osborne Palmer
        Parker Quinn Reeves Russell Sawyer Shaw Spencer Stone Turner Vaughan Wallace Watts Webb Wheeler Wright
        """
    ),
}
BRANDS = words(
    """
        Atlas Aurora Baobá Boreal Cedro Cobalto Coral Delta Estrela Farol Granito Guará Horizonte Ipê Jacarandá Jatobá
        Lótus Mirante Monte Nova Ocean Orion Pioneer Prisma Quartzo Riacho Sabiá Serra Summit Tropical União Vale
        Vértice Zênite Bright Harbor Maple
        """
)
SECTORS = {
    "pt": words(
        """
        Alimentos Têxtil Metalúrgica Distribuidora Farma Engenharia Celulose Agro Móveis Química Bebidas Cosméticos
        Autopeças Cerâmica
        """
    ),
    "en": words("Foods Textiles Steel Supply Pharma Robotics Paper Marine"),
}
TITLES = {
    "pt": ["Compras", "Diretoria", "Financeiro", "Logística", "Qualidade", "Operações", "Comercial", "Jurídico"],
    "en": ["Purchasing", "Finance", "Logistics", "Quality", "Operations", "Sales", "Legal", "Managing director"],
}
CITIES = {
    "pt": """Campinas;Joinville;Recife;Salvador;Curitiba;Goiânia;Santos;Manaus;Fortaleza;Blumenau;Uberlândia;
    Porto Alegre;São José dos Campos;Belo Horizonte;Vitória;Ribeirão Preto""",
    "en": "Rotterdam;Leeds;Portland;Halifax;Dublin;Austin;Savannah;Bristol;Hamburg;Singapore",
}
BULK = (
    ("Radar Logística", "news", "radar.example", "boletim", "pt"),
    ("Freight Weekly", "news", "freightweekly.example", "editor", "en"),
    ("Feira Intermodal", "news", "intermodal.test", "convite", "pt"),
    ("Clube do Café", "news", "clubedocafe.example", "oi", "pt"),
    ("Gestão em Pauta", "news", "gestaoempauta.example", "boletim", "pt"),
    ("The Ops Review", "news", "opsreview.example", "hello", "en"),
    ("Viaje Mais", "news", "viajemais.test", "ofertas", "pt"),
    ("Livraria Pilar", "news", "livrariapilar.example", "novidades", "pt"),
    ("Chamados Lumen", "notice", "chamados.lumen.example", "nao-responda", "pt"),
    ("Banco Meridiano", "notice", "meridiano.example", "nao-responda", "pt"),
    ("Rastreio Veloz", "notice", "rastreioveloz.test", "nao-responda", "pt"),
    ("Portal do Fornecedor", "notice", "fornecedor.example", "nao-responda", "pt"),
    ("Build Server", "notice", "build.lumen.example", "no-reply", "en"),
    ("Skyline Travel", "notice", "skylinetravel.example", "no-reply", "en"),
    ("Cloudbox", "notice", "cloudbox.example", "no-reply", "en"),
    ("Ponto Eletrônico", "notice", "ponto.lumen.example", "nao-responda", "pt"),
    ("frota-br", "list", "listas.example", "frota-br", "pt"),
    ("supply-chain", "list", "lists.example", "supply-chain", "en"),
)


def ascii_slug(text: str) -> str:
    """`text` as it would stand in an address: lower case, no accents, no spaces."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return "".join(character for character in plain.lower() if character.isalnum())


def cities(language: str) -> list[str]:
    return [city.strip() for city in CITIES[language].split(";")]


def person(rng: random.Random, language: str, domain: str, title: str = "") -> Person:
    first, last = rng.choice(FIRST[language]), rng.choice(LAST[language])
    return Person(f"{first} {last}", f"{ascii_slug(first)}.{ascii_slug(last)}@{domain}", title)


@lru_cache(maxsize=8)
def accounts(seed: int = 1) -> tuple[Account, ...]:
    """The 150 customers of this seed with two to seven contacts each; the same for every mailbox of the seed."""
    rng = random.Random(f"{seed}:accounts")
    names = [
        (f"{brand} {sector}", language) for brand in BRANDS for language in SECTORS for sector in SECTORS[language]
    ]
    rng.shuffle(names)
    return tuple(_account(rng, number, *name) for number, name in enumerate(names[:ACCOUNT_COUNT], 1))


def _account(rng: random.Random, number: int, name: str, language: str) -> Account:
    domain = ascii_slug(name) + rng.choice((".example", ".example", ".test"))
    staff = _distinct(_contact(rng, language, domain) for _ in range(rng.randint(2, 7)))
    return Account(number, name, domain, language, rng.choice(cities(language)), staff)


def _distinct(people: Iterable[Person]) -> tuple[Person, ...]:
    """Each address once."""
    return tuple({each.email: each for each in people}.values())


def _contact(rng: random.Random, language: str, domain: str) -> Person:
    """Most write from the company's domain; a few from a free mailbox, whose domain binds nobody."""
    return person(rng, language, FREE_MAIL if rng.random() < 0.04 else domain, rng.choice(TITLES[language]))


@lru_cache(maxsize=8)
def world(seed: int = 1, owner: Person = OWNER) -> World:
    """Everybody who writes to `owner`."""
    rng = random.Random(f"{seed}:{owner.email}:world")
    customers = accounts(seed)
    by_language = {tongue: tuple(each for each in customers if each.language == tongue) for tongue in ("pt", "en")}
    staff = _distinct(person(rng, "pt", owner.domain) for _ in range(40))
    bulk = tuple((Person(name, f"{local}@{domain}"), kind, tongue) for name, kind, domain, local, tongue in BULK)
    return World(
        owner=owner,
        company=OWN_COMPANY,
        staff=staff,
        accounts=customers,
        customers=by_language,
        weights={tongue: _closeness(rng, len(group)) for tongue, group in by_language.items()},
        staff_weights=_closeness(rng, len(staff)),
        projects={account.id: _projects(rng) for account in customers},
        bulk=bulk,
        strangers={
            tongue: tuple(person(rng, tongue, f"prospect{tongue}{number}.example") for number in range(30))
            for tongue in ("pt", "en")
        },
    )


def _closeness(rng: random.Random, count: int) -> tuple[float, ...]:
    """How often one talks with each of `count`, the closest first.

    Gamma distributed: what cumulative advantage leads to, and what was found in the records of millions of people,
    e-mail among them (Iñiguez, Heydari, Kertész, Saramäki, "Universal patterns in egocentric communication networks",
    Nature Communications 14, 5217, 2023). The shape is ours, within their heterogeneous regime.
    """
    return tuple(sorted((rng.gammavariate(SHAPE, 1.0) + 1e-3 for _ in range(count)), reverse=True))


def _projects(rng: random.Random) -> tuple[tuple[int, int], ...]:
    """The weeks in which there is much to talk about with an account: bursts, with long pauses between them.

    Lengths of both are log-normal, as times between e-mails are (Stouffer, Malmgren, Amaral, "Log-normal statistics in
    e-mail communication patterns", arXiv:physics/0605027); how long in weeks is ours.
    """
    found, week = [], FIRST_WEEK + int(rng.lognormvariate(2.0, 1.0))
    while week < LAST_WEEK:
        end = week + int(rng.lognormvariate(1.4, 0.7))
        found.append((week, end))
        week = end + 2 + int(rng.lognormvariate(2.6, 1.0))
    return tuple(found)
