/* `install -d -m MODE DIRECTORY`, the way of BSD and macOS: for each part of the path, look
 * whether it is there, create it if not, and take any error for the end. */

#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

static void make_part(const char *path)
{
    struct stat found;

    if (stat(path, &found) == 0) {
        if (!S_ISDIR(found.st_mode))
            errx(EX_CANTCREAT, "%s exists but is not a directory", path);
    } else if (errno != ENOENT || mkdir(path, 0755) < 0) {
        err(EX_OSERR, "mkdir %s", path);
    }
}

int main(int argc, char **argv)
{
    char *path = argc == 5 ? argv[4] : NULL;

    if (!path || strcmp(argv[1], "-d") || strcmp(argv[2], "-m"))
        errx(EX_USAGE, "usage: bsdinstall -d -m MODE DIRECTORY");
    for (char *slash = path + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        make_part(path);
        *slash = '/';
    }
    make_part(path);
    return chmod(path, strtol(argv[3], NULL, 8)) ? EX_OSERR : 0;
}
