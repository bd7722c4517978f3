/* `install -D SOURCE TARGET`, as uutils did it: walks to the target's directory by handle, no
 * symbolic link followed; looks for each part, creates it if it is not there, and fails if
 * that fails. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void fail(const char *what, const char *path)
{
    fprintf(stderr, "install: cannot %s '%s': %s\n", what, path, strerror(errno));
    exit(1);
}

static int open_or_create(int parent, const char *name, const char *shown)
{
    struct stat found;
    int directory;

    if (fstatat(parent, name, &found, AT_SYMLINK_NOFOLLOW) < 0)
        if (errno != ENOENT || mkdirat(parent, name, 0755) < 0)
            fail("create directory", shown);
    directory = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (directory < 0)
        fail("open directory", shown);
    return directory;
}

static void copy(int from, int parent, const char *name)
{
    static char buffer[1 << 16];
    ssize_t length;
    int to;

    if (unlinkat(parent, name, 0) < 0 && errno != ENOENT)
        fail("remove", name);
    to = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL, 0755);
    if (to < 0)
        fail("create regular file", name);
    while ((length = read(from, buffer, sizeof buffer)) > 0)
        if (write(to, buffer, length) != length)
            fail("write", name);
}

int main(int argc, char **argv)
{
    if (argc != 4 || strcmp(argv[1], "-D"))
        return 2;
    int source = open(argv[2], O_RDONLY);
    if (source < 0)
        fail("open", argv[2]);
    int directory = AT_FDCWD;
    char *name = argv[3];
    for (char *slash; (slash = strchr(name, '/')); name = slash + 1) {
        *slash = '\0';
        int next = open_or_create(directory, name, argv[3]);
        *slash = '/';
        if (directory != AT_FDCWD)
            close(directory);
        directory = next;
    }
    copy(source, directory, name);
    return 0;
}
