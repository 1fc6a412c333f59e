"""People, firms, goods and sentences that the demo's messages are made of; all of it invented."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ALERTS", "FIRMS", "FOREIGN", "GOODS", "NEWS", "NOTES", "PEOPLE", "Foreign"]


class Foreign(NamedTuple):
    """A message in a language and the charset its senders like."""

    charset: str
    encoding: str
    sender: str
    address: str
    subject: str
    body: str
    file_name: str


FIRMS = (
    ("Harbour & Finch", "harbourfinch.example"),
    ("Bluebird Paper Co.", "bluebirdpaper.example"),
    ("Nordlys Elektro", "nordlys.example"),
    ("Alder Tools", "aldertools.example"),
    ("Casa Oliva", "casaoliva.example"),
    ("Kestrel Logistics", "kestrel.example"),
    ("Maple Street Coffee", "maplestreet.example"),
    ("Tidewater Supplies", "tidewater.example"),
)

PEOPLE = (
    ("Amara Okafor", "amara.okafor"),
    ("Ben Whitlock", "ben.whitlock"),
    ("Clara Nyström", "clara.nystrom"),
    ("Dev Patel", "dev.patel"),
    ("Elena Petrova", "elena.petrova"),
    ("Frank Müller", "frank.mueller"),
    ("Grace Lin", "grace.lin"),
    ("Hugo Fernández", "hugo.fernandez"),
    ("Ines Carvalho", "ines.carvalho"),
    ("Jonas Weiß", "jonas.weiss"),
    ("Keiko Tanaka", "keiko.tanaka"),
    ("Liam O'Brien", "liam.obrien"),
)

GOODS = (
    ("Oak desk, 160 cm", 34900),
    ("Desk lamp, brass", 8950),
    ("Label printer LP-40", 12900),
    ("Copy paper A4, box of 5", 2495),
    ("Espresso beans, 1 kg", 1890),
    ("Cable drum, 25 m", 4590),
    ("Packing tape, 36 rolls", 3120),
    ("Hand truck, 200 kg", 15900),
    ("Ergonomic chair, grey", 27900),
    ("Thermal labels, 4 rolls", 1760),
)

NEWS = (
    ("Spring range: 12 new finishes for the workshop", "The new finishes are here"),
    ("What we learned from 10,000 deliveries", "Ten thousand parcels, three surprises"),
    ("Free shipping until Sunday", "No minimum, no code, until Sunday at midnight"),
    ("Five small offices we love", "A tour of five rooms under 30 square metres"),
    ("Save the date: open house in the warehouse", "Coffee, cake and a ride on the fork-lift"),
    ("Your questions about recycled paper, answered", "Is it as white? It is. And the printer?"),
)

NOTES = (
    ("Notes from Tuesday's meeting", "I wrote down what we agreed; shout if I missed something."),
    ("Quick question about the delivery window", "Could the van come before ten on Thursday?"),
    ("Re: Price list for the second half", "Thanks, that works for us. Please send the contract."),
    ("Lunch on Friday?", "The place by the canal has a table for six at half past twelve."),
    ("Re: Damaged parcel, order photos attached", "The replacement leaves today. Keep the lamp."),
    ("Holiday cover from the 14th", "Grace answers for me while I am away; she knows the plan."),
    ("Draft contract, comments welcome", "Please look twice at clause 4; the rest is as before."),
    ("Please call back about the return", "The customer rang twice; number and times are below."),
)

ALERTS = (
    ("Backup finished: 214 GB in 41 min", "All 12 volumes were copied and checked."),
    ("[resolved] Warehouse scanner offline", "Scanner 7 answers again. It was away for 6 minutes."),
    ("Weekly report: 1,284 orders, 0.4 % returned", "The figures by day are below."),
    ("Certificate of shop.example renews in 21 days", "Nothing to do: renewal is automatic."),
    ("Disk on archive-2 is 81 % full", "At the present rate it will be full in about 7 weeks."),
    ("New sign-in to your account", "A sign-in from Lisbon, Portugal. Was it you?"),
)

FOREIGN = (
    Foreign(
        "iso-8859-1", "quoted-printable", "Jürgen Schäfer", "j.schaefer@werkhof.example",
        "Auftragsbestätigung für Ihre Bestellung über 12 Stühle",
        "Guten Tag,\n\nvielen Dank für Ihren Auftrag. Wir liefern am Dienstag vormittag.\n"
        "Bitte prüfen Sie die Größe der Tür.\n\nMit freundlichen Grüßen\nJürgen Schäfer\n",
        "Auftragsbestätigung März.pdf",
    ),
    Foreign(
        "koi8-r", "base64", "Ольга Смирнова", "olga@sever.example",
        "Счёт за доставку и копия договора",
        "Добрый день!\n\nПосылаем счёт за доставку и подписанную копию договора.\n"
        "Срок оплаты: 14 дней.\n\nС уважением,\nОльга Смирнова\n",
        "Счёт и договор.pdf",
    ),
    Foreign(
        "iso-2022-jp", "7bit", "田中 恵子", "tanaka@sakura-shoji.example",
        "ご注文ありがとうございます（注文確認）",
        "お世話になっております。\n\nご注文を承りました。商品は金曜日に発送いたします。\n"
        "よろしくお願いいたします。\n\n田中 恵子\n",
        "注文確認書.pdf",
    ),
    Foreign(
        "gb18030", "base64", "王小明", "wang@dongfang.example",
        "报价单：二零二六年第二季度",
        "您好：\n\n附件是第二季度的报价单，有效期三十天。如有问题请与我联系。\n\n此致\n王小明\n",
        "第二季度报价单.pdf",
    ),
    Foreign(
        "windows-1252", "quoted-printable", "Hélène Lefèvre", "helene@atelier-lefevre.example",
        "Devis n° 218 – 1 450 € “tout compris”",
        "Bonjour,\n\nVoici le devis pour l’aménagement de l’accueil : 1 450 € “tout compris”.\n"
        "Il reste valable jusqu’à la fin du mois…\n\nBien à vous,\nHélène Lefèvre\n",
        "Devis n° 218 – aménagement.pdf",
    ),
    Foreign(
        "utf-8", "8bit", "Zoë Κωνσταντίνου", "zoe@aegean.example",
        "Παραγγελία 🫒 ελαιόλαδο: ready to ship",
        "Καλημέρα!\n\nThe olive oil is ready to ship: 24 bottles, 0.75 l each. 🫒\n\nZoë\n",
        "Λίστα αποστολής.pdf",
    ),
)  # fmt: skip
