/* Writes Modules/clinic/NAME.c.h for every Modules/NAME.c that it is given, whether or not
 * anything changed: each header is rendered in memory, and then written over the old one.
 * With PUBLISH in the environment the header goes to that program's standard input instead.
 */

#define _GNU_SOURCE
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { METHODS = 8, DOC_LINES = 800 };

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void render(FILE *header, const char *module)
{
    for (int method = 0; method < METHODS; method++) {
        fprintf(header, "/* %s.method_%d\n", module, method);
        for (int line = 0; line < DOC_LINES; line++)
            fprintf(header, " * Line %d of what method_%d takes, does and returns, at some length.\n", line, method);
        fprintf(header, " */\n"
                        "#define METHOD_%d_METHODDEF {\"method_%d\", method_%d},\n"
                        "static int method_%d(int argument) { return argument + %d; }\n\n",
                method, method, method, method, method);
    }
}

static void write_header(const char *path, const char *text, size_t length)
{
    const char *publish = getenv("PUBLISH");
    FILE *out;

    if (publish && *publish) {
        char *command;
        if (asprintf(&command, "%s %s", publish, path) < 0)
            fail("asprintf");
        out = popen(command, "w");
        free(command);
    } else {
        out = fopen(path, "w");
        publish = NULL;
    }
    if (!out || fwrite(text, 1, length, out) != length)
        fail(path);
    if ((publish ? pclose(out) : fclose(out)) != 0) {
        fprintf(stderr, "%s: not written\n", path);
        exit(1);
    }
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        char *text, *path, *module = basename(argv[i]);
        size_t length;
        FILE *header = open_memstream(&text, &length);

        if (!header || asprintf(&path, "Modules/clinic/%s.h", module) < 0)
            fail(argv[i]);
        render(header, module);
        if (fclose(header) != 0)
            fail(argv[i]);
        write_header(path, text, length);
        free(text);
        free(path);
    }
    return 0;
}
