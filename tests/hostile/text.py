"""Hostile tables, lists and definitions."""

from tests.hostile.case import EITHER, READ, REFUSED, cases, replacing

TEXTS = ("list, own columns", "list, Kinetics", "list, labels", "list, names", "list, HMDB", "list, sources", "words")
TEXTS += ("definitions", "graph, TSV", "BORIS, aggregated", "BORIS, older", "BORIS, events", "backbone, merges")
ESCAPE = "\x1b[2J\x1b]0;title\x07"


def _of_every_text(reader: str) -> dict[str, tuple]:
    return {
        "a null character": (lambda sound: sound[:9] + b"\0" + sound[9:], REFUSED),
        "bytes of Latin-1": (lambda sound: sound + "Fußgröße\n".encode("latin-1"), REFUSED, "not UTF-8 text"),
        "UTF-16": (lambda sound: sound.decode().encode("utf-16"), REFUSED, "not UTF-8 text"),
        "UTF-32": (lambda sound: sound.decode().encode("utf-32"), REFUSED, "not UTF-8 text"),
        "half a character at the end": (lambda sound: sound + "€".encode()[:2], REFUSED, "not UTF-8 text"),
        "half of a pair of surrogates": (lambda sound: sound + b"\xed\xa0\x80", REFUSED, "not UTF-8 text"),
        "an overlong slash": (lambda sound: sound + b"..\xc0\xaf", REFUSED, "not UTF-8 text"),
        "a mark of byte order": (lambda sound: b"\xef\xbb\xbf" + sound, READ),
        "ends of lines of Windows": (lambda sound: sound.replace(b"\n", b"\r\n"), READ),
        "ends of lines of old Macs": (lambda sound: sound.replace(b"\n", b"\r"), READ),
        "64 MiB and a byte": (lambda sound: sound + b"#" * (2**26 + 1 - len(sound)), REFUSED, "expected at most"),
        "a line of 10 MiB": (lambda sound: sound + b"a" * 10 * 2**20, EITHER),
        "two million lines": (lambda sound: sound + b"\n" * 2_000_001, EITHER),
        "text of wide characters": (lambda sound: "\U0001f600".encode() * 2**22, EITHER),
        "escape sequences": (lambda sound: sound + ESCAPE.encode(), EITHER),
        "turned around": (lambda sound: sound + "\u202egpj.\u2066exe".encode(), EITHER),
        "nothing but ends of lines": (b"\n" * 1000, EITHER),
        "bytes of a picture": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), REFUSED),
        "a quote that never ends": (lambda sound: sound + b'"', EITHER),
        "ten thousand cells in a line": (lambda sound: sound + b",\t" * 10_000, EITHER),
    }


OWN = "video,label,start,end,split\n"
ROW = "films/gym.mp4,lunge,{},{},train\n"
_TIMES = {
    "of 5,000 digits": ("9" * 5000, "5"),
    "of 5,000 hours' digits": ("9" * 5000 + ":00:01", "5"),
    "without end": ("0", "inf"),
    "that are no numbers": ("nan", "nan"),
    "below zero": ("-5", "1"),
    "the wrong way round": ("5", "1"),
    "that are equal": ("1", "1"),
    "of less than a millisecond": ("1", "1.0001"),
    "of 1e308": ("1e308", "1e309"),
    "in Arabic digits": ("٣", "٤"),
    "of 99 minutes": ("99:00", "1:99:00"),
    "that are a date": ("2024-02-30", "2024-02-31"),
    "with a start alone": ("1", ""),
}
LISTS = [
    *cases(
        "list, own columns",
        {f"times {name}": (OWN + ROW.format(*pair), REFUSED) for name, pair in _TIMES.items()}
        | {
            "one column": ("video\na.mp4\n", REFUSED, "has no column label"),
            "one column too many in a row": (OWN + "a.mp4,b,0,1,train,x\n", REFUSED, "row 2 has 6 cells, expected 5"),
            "no row": (OWN, REFUSED, "holds no clip"),
            "a header twice": (OWN * 2, REFUSED),
            "a part that is none": (OWN + "a.mp4,b,0,1,exam\n", REFUSED, "expected train, val, test"),
            "a file twice": ("video,label\na.mp4,b\na.mp4,b\n", REFUSED, "more than once"),
            "one name with two extensions": ("video,label\na.mp4,b\na.avi,b\n", REFUSED, "has the same name as"),
            "columns without names": (",,,,\na,b,c,d,e\n", REFUSED, "holds no clip"),
            "columns of one name": ("video,label,label\na.mp4,b,c\n", EITHER),
            "1,001 columns": ("video,label" + "," * 1000 + "\n", REFUSED, "has more than 1,000 columns"),
            "four million cells": ("video,label\n" + "a.mp4,b,,,,\n" * 900_000, REFUSED, "4,000,000 cells"),
            "a cell of a megabyte": (OWN + "a" * 2**20 + ".mp4,b,0,1,train\n", REFUSED),
            "a path of 5,000 characters": ("video,label\n" + "a/" * 2500 + "a.mp4,b\n", READ, "b"),
            "a path above the folder": ("video,label\n../../../../etc/passwd.mp4,b\n", READ, "b"),
            "a formula": ("video,label\n=cmd|' /C calc'!A0,b\n", READ, "b"),
            "a label of markup": ("video,label\na.mp4,<script>alert(1)</script>\n", READ, "<script>"),
            "a label of 100,000 characters": ("video,label\na.mp4," + "b" * 100_000 + "\n", EITHER),
            "labels that are numbers": ("video,label\na.mp4,7\n", REFUSED, "has no name for label 7"),
            "a label of blanks": ("video,label\na.mp4,   \n", READ, "[]"),
            "a label in other spellings": ("video,label\na.mp4,push_up\nb.mp4,Push-Up\n", READ, "Push-Up"),
            "an end of line in a cell": ('video,label\na.mp4,"b\nc"\n', EITHER),
            "no video": ("video,label\n,b\n", REFUSED, "row 2 names no video"),
            "an address": ("video,label\nhttp://[::1/a.mp4,b\n", READ, "b"),
        },
    ),
    *cases(
        "list, Kinetics",
        {
            f"{what} for a time": (f"label,youtube_id,time_start,time_end\nb,a,{what[:5000]},9\n", REFUSED, "has times")
            for what in ("inf", "nan", "", "1e999", "x", "0x10", "9" * 400)
        }
        | {
            "no id": ("label,youtube_id,time_start,time_end\nb,,0,9\n", REFUSED, "has no youtube_id"),
            "a negative time": ("label,youtube_id,time_start,time_end\nb,a,-5,9\n", EITHER),
            "a column in another's name": ("label,xyoutube_id,time_start,time_end\nb,a,0,9\n", REFUSED, "no column"),
        },
    ),
    *cases(
        "list, labels",
        {
            "no extension": ("films/gym 0\n", REFUSED, "line 1 names no video"),
            "several labels": ("films/gym.mp4 0 1\n", REFUSED, "has several labels"),
            "a number without a name": ("films/gym.mp4 99999\n", REFUSED, "has no name for label 99999"),
            "a number of 100 digits": (f"films/gym.mp4 {'9' * 100}\n", READ, "9999"),
            "a list of itself": ("list.txt\n", REFUSED, "line 1 names no video"),
        },
    ),
    *cases(
        "list, names",
        {
            "other numbers": ("1 lunge\n", REFUSED, "has no name for label 0"),
            "a number twice": ("0 lunge\n0 jump\n", EITHER),
            "numbers alone": ("0\n1\n", READ, "0"),
            "a header alone": ("id,name\n", REFUSED, "has no name for label 0"),
        },
    ),
    *cases(
        "list, HMDB",
        {
            "a code that is none": ("gym.avi 3\n", REFUSED, "expected a file and 0, 1 or 2"),
            "no code": ("gym.avi\n", REFUSED, "expected a file and 0, 1 or 2"),
            "only clips that are not used": ("gym.avi 0\n", REFUSED, "holds no clip"),
            "a clip in both parts": ("gym.avi 1\ngym.avi 2\n", REFUSED, "more than once"),
        },
    ),
    *cases(
        "words",
        {
            "a name of escapes": (f"ball{ESCAPE}\n", EITHER),
            "100,000 words": ("".join(f"ball{n}\n" for n in range(100_000)), READ),
        },
    ),
]
DEFINITIONS = cases(
    "definitions",
    {
        "a list": ("[left arm bend]\n", REFUSED, "expected actions with lists of movements"),
        "a word": ("jump\n", REFUSED, "expected actions with lists of movements"),
        "nothing": ("---\n...\n", REFUSED, "expected actions with lists of movements"),
        "two documents": ("a: [hip rise]\n---\nb: [hip rise]\n", REFUSED),
        "an action twice": ("jump: [hip rise]\njump: [hip bend]\n", REFUSED, "is given twice"),
        "an action in two spellings": ("push up: [hip rise]\nPush_Up: [hip bend]\n", REFUSED, "are one action"),
        "an anchor and an alias": ("a: &x [hip rise]\nb: *x\n", REFUSED, "aliases are not read"),
        "a billion laughs": (
            "a: &a [x]\n"
            + "".join(f"{n}: &{n} [{', '.join([f'*{p}'] * 9)}]\n" for p, n in zip("abcdefgh", "bcdefghi", strict=True)),
            REFUSED,
            "aliases are not read",
        ),
        "an alias to itself": ("a: &a [*a]\n", REFUSED, "aliases are not read"),
        "a merge": ("a: {<<: {hip rise: 1}}\n", REFUSED, "merges are not read"),
        "an object of Python": ("a: !!python/object/apply:os.system [ls]\n", REFUSED, "tags such as"),
        "a set": ("a: !!set {hip rise}\n", REFUSED, "tags such as"),
        "binary": ("a: !!binary aGlwIHJpc2U=\n", REFUSED, "tags such as"),
        "an action that is a number": ("3: [hip rise]\n", REFUSED, "expected a name, got int"),
        "an action that is true": ("yes: [hip rise]\n", REFUSED, "expected a name, got bool"),
        "an action that is a date": ("2024-01-01: [hip rise]\n", REFUSED, "expected a name, got date"),
        "an impossible date": ("a: [2024-02-30]\n", REFUSED, "not valid YAML"),
        "a time of day": ("a: [12:30:45]\n", REFUSED, "expected a movement"),
        "an action that is a list": ("? [a, b]\n: [hip rise]\n", REFUSED),
        "an action without a name": ('"": [hip rise]\n', REFUSED),
        "an action of a null": ("~: [hip rise]\n", REFUSED, "expected a name, got NoneType"),
        "a share of nothing": ("a: {hip rise: 0}\n", REFUSED, "expected a number in (0, 1]"),
        "a share above one": ("a: {hip rise: 1.5}\n", REFUSED, "expected a number in (0, 1]"),
        "a share that is infinite": ("a: {hip rise: .inf}\n", REFUSED, "expected a number in (0, 1]"),
        "a share that is no number": ("a: {hip rise: .nan}\n", REFUSED, "expected a number in (0, 1]"),
        "a share that is true": ("a: {hip rise: true}\n", REFUSED, "expected a number in (0, 1]"),
        "a share of 5,000 digits": (f"a: {{hip rise: {'9' * 5000}}}\n", REFUSED),
        "a share in base 60": ("a: {hip rise: 190:20:30}\n", REFUSED),
        "depth": ("a: " + "[" * 1000 + "]" * 1000 + "\n", REFUSED, "nested too deeply"),
        "depth by indents": ("".join(" " * n + "a:\n" for n in range(200)), REFUSED, "nested too deeply"),
        "200,000 values": ("a: [" + "x, " * 200_001 + "x]\n", REFUSED, "more than 200,000 values"),
        "two megabytes": ("# " + "x" * 2_000_001 + "\n", REFUSED, "larger than 2,000,000 characters"),
        "a name of 2,000 characters": (f"{'a' * 2000}: [hip rise]\n", REFUSED),
        "no body part": ("a: [tail wag]\n", REFUSED, "tail"),
        "a part alone": ("a: [hip]\n", REFUSED),
        "a movement of hidden characters": ("a: [hip ri\u200bse]\n", REFUSED),
        "an action of escapes": ('"a\\e[2J": [hip rise]\n', REFUSED),
        "an action turned around": ('"a\\u202E": [hip rise]\n', REFUSED),
        "an action of half a pair": ('"a\\uD800": [hip rise]\n', REFUSED),
        "an action of markup": ("<b onload=alert(1)>: [hip rise]\n", EITHER),
        "a formula": ("=1+1: [hip rise]\n", READ),
        "tabs for blanks": ("a:\n\t- hip rise\n", REFUSED, "not valid YAML"),
        "a directive of another version": ("%YAML 9.9\n---\na: [hip rise]\n", EITHER),
        "half a mapping": ("a: {hip rise: 1\n", REFUSED, "not valid YAML"),
    },
)
TRIPLES = cases(
    "graph, TSV",
    {
        "two fields": ("jump\tconsists_of\n", REFUSED, "expected head⇥relation⇥tail"),
        "four fields": ("jump\tconsists_of\thip rise\t1\n", REFUSED, "expected head⇥relation⇥tail"),
        "an empty field": ("jump\t\thip rise\n", REFUSED, "expected head⇥relation⇥tail"),
        "a relation that is none": ("jump\tis_a\thip rise\n", REFUSED, "is_a"),
        "an action that shows": ("jump\tshows\thip rise\njump\tconsists_of\thip rise\n", EITHER),
        "a name of escapes": (f"jump{ESCAPE}\tconsists_of\thip rise\n", REFUSED),
        "a name turned around": ("jump\u202e\tconsists_of\thip rise\n", REFUSED),
        "a formula": ("=1+1\tconsists_of\thip rise\n", READ),
        "a line 100,000 times": ("jump\tconsists_of\thip rise\n" * 100_000, READ),
        "blanks for tabs": ("jump consists_of hip rise\n", REFUSED, "expected head⇥relation⇥tail"),
    },
)
TABLE = "Observation id,Media file name,Behavior,Behavior type,Start (s),Stop (s)\n"
EVENTS = "Media file name,Behavior,Status,Time\n"
BORIS_TABLES = [
    *cases(
        "BORIS, aggregated",
        {
            f"times {name}": (f"{TABLE}gym,films/gym.mp4,jump,STATE,{start},{end}\n", REFUSED)
            for name, (start, end) in _TIMES.items()
            if name not in ("in Arabic digits", "that are a date")
        }
        | {
            "two films": (f'{TABLE}gym,"a.mp4;b.mp4",jump,STATE,0,1\n', REFUSED, "has 2 films in a row"),
            "no film": (f"{TABLE}gym,,jump,STATE,0,1\n", REFUSED, "has 0 films in a row"),
            "a film of 300 characters": (f"{TABLE}gym,{'a' * 300}.mp4,jump,STATE,0,1\n", READ),
            "an offset": (
                "Media file name,Behavior,Start (s),Stop (s),Time offset (s)\na,b,0,1,5\n",
                REFUSED,
                "offset",
            ),
            "an offset that is none": (
                "Media file name,Behavior,Start (s),Stop (s),Time offset (s)\na,b,0,1,nan\n",
                REFUSED,
                "offset",
            ),
            "other columns": ("a,b\n1,2\n", REFUSED, "has the columns a, b"),
            "two labels at one time": (f"{TABLE}g,a.mp4,b,STATE,0,1\ng,a.mp4,c,STATE,0,1\n", REFUSED, "has the labels"),
        },
    ),
    *cases(
        "BORIS, events",
        {
            "a stop without a start": (f"{EVENTS}a.mp4,jump,STOP,1\n", REFUSED, "stops without a start"),
            "a start without a stop": (f"{EVENTS}a.mp4,jump,START,1\n", REFUSED, "never stops"),
            "two starts": (f"{EVENTS}a.mp4,jump,START,1\na.mp4,jump,START,2\n", REFUSED, "starts twice"),
            "points alone": (f"{EVENTS}a.mp4,jump,POINT,1\n", REFUSED, "no interval was found"),
            "a time that is none": (f"{EVENTS}a.mp4,jump,START,soon\n", REFUSED, "expected seconds"),
        },
    ),
    *cases("BORIS, older", {"a number in place of a tab": (replacing("lunge", "\x00"), REFUSED)}),
]
MERGES = cases(
    "backbone, merges",
    {
        "a pair of three": ("#version: 0.2\na r m\n", REFUSED),
        "one piece": ("#version: 0.2\na\n", REFUSED),
        "pieces that are no words": ("#version: 0.2\nqq ww\n", REFUSED),
        "a header alone": ("#version: 0.2\n", REFUSED, "holds no merges"),
        "a pair a hundred thousand times": ("a r\n" * 100_000, EITHER),
    },
)
TEXT_CASES = [
    *(case for reader in TEXTS for case in cases(reader, _of_every_text(reader))),
    *LISTS,
    *DEFINITIONS,
    *TRIPLES,
    *BORIS_TABLES,
    *MERGES,
]
