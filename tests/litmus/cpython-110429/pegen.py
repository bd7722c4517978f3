"""Makes a parser of a grammar: a function for each rule, with all its alternatives.

    pegen.py GRAMMAR -o PARSER
"""

import sys

grammar, _, parser = sys.argv[1:]
with open(grammar) as rules, open(parser, "w") as out:
    for rule in rules:
        name, alternatives = rule.rstrip().split(": ")
        out.write(f"static void *{name}_rule(Parser *p)\n{{\n")
        for number, alternative in enumerate(alternatives.split(" | ")):
            out.write(f"    {{ // {alternative}\n        if (p->error_indicator) {{ return NULL; }}\n")
            out.write(f"        D(\"{name}[%d]\", {number});\n        p->mark = _mark;\n    }}\n")
        out.write("    return _res;\n}\n\n")
