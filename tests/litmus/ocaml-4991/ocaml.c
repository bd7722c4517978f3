/* What ocamlc and ocamlopt (told by the name) do with interfaces: `-c NAME.ml` reads the .cmi of
 * each module that the source opens, and checks its digest; then it writes NAME.cmi, reads that
 * back for the digest, appends it, and writes NAME.cmo or NAME.cmx, with the digests of all. */

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VALUES = 8000 };

static const char magic[] = "Caml1999I011";

static char *read_file(const char *path, size_t *length)
{
    FILE *file = fopen(path, "r"), *copy;
    char *text, buffer[4096];
    size_t got;

    if (!file || !(copy = open_memstream(&text, length)))
        return NULL;
    while ((got = fread(buffer, 1, sizeof buffer, file)) > 0)
        fwrite(buffer, 1, got, copy);
    fclose(copy);
    fclose(file);
    return text;
}

static unsigned long digest_of(const char *text, size_t length)
{
    unsigned long digest = 14695981039346656037u;

    for (size_t i = 0; i < length; i++)
        digest = (digest ^ (unsigned char)text[i]) * 1099511628211u;
    return digest;
}

static unsigned long read_interface(const char *source, const char *module)
{
    char *path, *text;
    size_t length = 0;
    unsigned long digest;

    if (asprintf(&path, "%s.cmi", module) < 0)
        exit(2);
    text = read_file(path, &length);
    if (!text || length < sizeof magic + sizeof digest || strncmp(text, magic, sizeof magic - 1) ||
        (memcpy(&digest, text + length - sizeof digest, sizeof digest),
         digest != digest_of(text, length - sizeof digest))) {
        fprintf(stderr, "File \"%s\", line 1:\nError: Corrupted compiled interface %s\n", source, path);
        exit(2);
    }
    free(text);
    free(path);
    return digest;
}

static unsigned long write_interface(const char *module)
{
    char *path, *text;
    size_t length = 0;
    unsigned long digest;
    FILE *file;

    if (asprintf(&path, "%s.cmi", module) < 0 || !(file = fopen(path, "w")))
        exit(2);
    fputs(magic, file);
    for (int value = 0; value < VALUES; value++)
        fprintf(file, "val %s_%d : int -> string -> (int * string) list\n", module, value);
    fclose(file);
    if (!(text = read_file(path, &length)) || !(file = fopen(path, "a")))
        exit(2);
    digest = digest_of(text, length);
    fwrite(&digest, sizeof digest, 1, file);
    fclose(file);
    return digest;
}

int main(int argc, char **argv)
{
    int native = strlen(argv[0]) > 3 && !strcmp(argv[0] + strlen(argv[0]) - 3, "opt");
    char line[256], *module, *path, *object;
    size_t length;
    FILE *source, *code;

    if (argc != 3 || !(source = fopen(argv[2], "r")))
        return 2;
    code = open_memstream(&object, &length);
    while (fgets(line, sizeof line, source)) {
        line[strcspn(line, "\n")] = '\0';
        if (!strncmp(line, "open ", 5))
            fprintf(code, "%s %lx\n", line + 5, read_interface(argv[2], line + 5));
    }
    module = strndup(argv[2], strlen(argv[2]) - strlen(".ml"));
    fprintf(code, "%s %lx\n", module, write_interface(module));
    fclose(code);
    if (asprintf(&path, "%s.%s", module, native ? "cmx" : "cmo") < 0 || !(code = fopen(path, "w")))
        return 2;
    fwrite(object, 1, length, code);
    return fclose(code) ? 2 : 0;
}
