"""Looks through all C files below a directory for blocks of Argument Clinic, and checks each.

    clinic.py --make --srcdir DIRECTORY
"""

import os
import sys

START, END = "/*[clinic input]", "[clinic start generated code]*/"

for directory, directories, files in os.walk(sys.argv[3]):
    directories.sort()
    for name in sorted(files):
        if not name.endswith(".c"):
            continue
        path = os.path.join(directory, name)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        if START in text and text.count(START) != text.count(END):
            sys.exit(f"{path}: a block does not end")
