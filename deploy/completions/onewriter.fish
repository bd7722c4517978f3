# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_onewriter_global_optspecs
    string join \n h/help V/version
end

function __fish_onewriter_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_onewriter_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_onewriter_using_subcommand
    set -l cmd (__fish_onewriter_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c onewriter -n "__fish_onewriter_needs_command" -s h -l help -d 'Print help'
complete -c onewriter -n "__fish_onewriter_needs_command" -s V -l version -d 'Print version'
complete -c onewriter -n "__fish_onewriter_needs_command" -f -a "init" -d 'Make DIR (default: here) a build root'
complete -c onewriter -n "__fish_onewriter_needs_command" -f -a "mkdir" -d 'Make directories, and those on the way to them'
complete -c onewriter -n "__fish_onewriter_needs_command" -f -a "publish" -d 'Put a complete file at a path in one step'
complete -c onewriter -n "__fish_onewriter_needs_command" -f -a "batch" -d 'Apply a list of mutations, all together or none of them'
complete -c onewriter -n "__fish_onewriter_needs_command" -f -a "run" -d 'Run a command whose changes happen together when it succeeds, or not at all'
complete -c onewriter -n "__fish_onewriter_needs_command" -f -a "make" -d 'Build with make, so that no recipe sees half of what another one does'
complete -c onewriter -n "__fish_onewriter_needs_command" -f -a "cp" -d 'Copy files and trees, each file in one step'
complete -c onewriter -n "__fish_onewriter_needs_command" -f -a "install" -d 'Copy files and set their mode, each in one step; or make directories (-d)'
complete -c onewriter -n "__fish_onewriter_needs_command" -f -a "mv" -d 'Rename files and directories, or move files into the tree'
complete -c onewriter -n "__fish_onewriter_needs_command" -f -a "ln" -d 'Make hard links, or symbolic ones (-s)'
complete -c onewriter -n "__fish_onewriter_needs_command" -f -a "rm" -d 'Remove files, or whole trees (-r) in one step'
complete -c onewriter -n "__fish_onewriter_needs_command" -f -a "touch" -d 'Set modification and access time to now, making empty files where there are none'
complete -c onewriter -n "__fish_onewriter_needs_command" -f -a "simple" -d 'Do a recipe line that needs no shell, or say that it needs one'
complete -c onewriter -n "__fish_onewriter_needs_command" -f -a "shims" -d 'Fill DIR with links by which mkdir, cp, install and others go through the daemon'
complete -c onewriter -n "__fish_onewriter_needs_command" -f -a "stat" -d 'Describe paths as the daemon sees them'
complete -c onewriter -n "__fish_onewriter_needs_command" -f -a "cat" -d 'Print files; each is one file\'s content, whatever is published meanwhile'
complete -c onewriter -n "__fish_onewriter_needs_command" -f -a "fetch" -d 'Bring files and trees of the build root to another directory or machine'
complete -c onewriter -n "__fish_onewriter_needs_command" -f -a "lock" -d 'Run a command while nobody else changes a path, or holds a name'
complete -c onewriter -n "__fish_onewriter_needs_command" -f -a "once" -d 'Run a command once, whoever asks for it and how often'
complete -c onewriter -n "__fish_onewriter_needs_command" -f -a "wait" -d 'Wait until something is at each path'
complete -c onewriter -n "__fish_onewriter_needs_command" -f -a "watch" -d 'Print what is changed as it happens, by whom, for which target'
complete -c onewriter -n "__fish_onewriter_needs_command" -f -a "log" -d 'Print what was changed, when, by whom, for which target'
complete -c onewriter -n "__fish_onewriter_needs_command" -f -a "report" -d 'Tell what a build did, which races were avoided, and what was at odds'
complete -c onewriter -n "__fish_onewriter_needs_command" -f -a "status" -d 'Show the daemon, and who holds and who waits for which path or lease'
complete -c onewriter -n "__fish_onewriter_needs_command" -f -a "workers" -d 'Show who is connected, what they hold and wait for, and what they run'
complete -c onewriter -n "__fish_onewriter_needs_command" -f -a "stats" -d 'Count what was done since the daemon started'
complete -c onewriter -n "__fish_onewriter_needs_command" -f -a "top" -d 'Show what runs, who holds, who waits, and how much is done, as it happens'
complete -c onewriter -n "__fish_onewriter_needs_command" -f -a "stop" -d 'End the daemon when the requests under way are done'
complete -c onewriter -n "__fish_onewriter_needs_command" -f -a "completions" -d 'Print the completion script for SHELL: bash, elvish, fish, powershell or zsh'
complete -c onewriter -n "__fish_onewriter_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c onewriter -n "__fish_onewriter_using_subcommand init" -l nested -d 'Make one even inside another build root'
complete -c onewriter -n "__fish_onewriter_using_subcommand init" -l json -d 'Print the result as JSON, for programs'
complete -c onewriter -n "__fish_onewriter_using_subcommand init" -s h -l help -d 'Print help'
complete -c onewriter -n "__fish_onewriter_using_subcommand init" -s V -l version -d 'Print version'
complete -c onewriter -n "__fish_onewriter_using_subcommand mkdir" -s m -l mode -d 'The mode of DIR, as in mkdir -m [default: 777 less the umask]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand mkdir" -l root -d 'The build root, instead of the nearest parent with a .onewriter [env: ONEWRITER_ROOT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand mkdir" -l server -d 'The daemon\'s address, as in https://HOST:PORT or unix:/path/to/daemon.sock; etcd://HOST:PORT/NAME is whichever owns that root of a cluster [env: ONEWRITER_SERVER]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand mkdir" -l tls-ca -d 'Trust servers whose certificate one in FILE has signed (PEM) [default: those that the system trusts] [env: ONEWRITER_TLS_CA]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand mkdir" -l tls-cert -d 'The client\'s certificate for https:// (PEM) [env: ONEWRITER_TLS_CERT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand mkdir" -l tls-key -d 'The key of --tls-cert (PEM) [env: ONEWRITER_TLS_KEY]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand mkdir" -l token-file -d 'The client\'s token, in a file [env: ONEWRITER_TOKEN_FILE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand mkdir" -l timeout -d 'Wait at most so long for locks and the daemon [default: 300] [env: ONEWRITER_TIMEOUT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand mkdir" -l build -d 'The build that this belongs to [env: ONEWRITER_BUILD]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand mkdir" -l target -d 'The make target that this is done for [env: ONEWRITER_TARGET]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand mkdir" -l lease -d 'Refuse to do anything unless this lease is held [env: ONEWRITER_LEASE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand mkdir" -s p -l parents -d 'Accepted for mkdir\'s sake: parents are made anyway'
complete -c onewriter -n "__fish_onewriter_using_subcommand mkdir" -l no-parents -d 'Fail where a parent is missing'
complete -c onewriter -n "__fish_onewriter_using_subcommand mkdir" -l new -d 'Fail where DIR exists'
complete -c onewriter -n "__fish_onewriter_using_subcommand mkdir" -s v -l verbose -d 'Say what was done to each'
complete -c onewriter -n "__fish_onewriter_using_subcommand mkdir" -l json -d 'Print the result as JSON, for programs'
complete -c onewriter -n "__fish_onewriter_using_subcommand mkdir" -s h -l help -d 'Print help'
complete -c onewriter -n "__fish_onewriter_using_subcommand mkdir" -s V -l version -d 'Print version'
complete -c onewriter -n "__fish_onewriter_using_subcommand publish" -s m -l mode -d 'The mode [default: DST\'s own, else SRC\'s less the umask]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand publish" -l unchanged -d 'What to do where the content is there already: keep (leave it alone), touch (new modification time), replace' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand publish" -l to -d 'Publish all into DIR, together or not at all' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand publish" -l on-conflict -d 'Where others changed the same files: rerun (run it again), fail, last (overwrite) [default: rerun]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand publish" -l retries -d 'Run it again at most N times [default: 3]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand publish" -l root -d 'The build root, instead of the nearest parent with a .onewriter [env: ONEWRITER_ROOT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand publish" -l server -d 'The daemon\'s address, as in https://HOST:PORT or unix:/path/to/daemon.sock; etcd://HOST:PORT/NAME is whichever owns that root of a cluster [env: ONEWRITER_SERVER]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand publish" -l tls-ca -d 'Trust servers whose certificate one in FILE has signed (PEM) [default: those that the system trusts] [env: ONEWRITER_TLS_CA]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand publish" -l tls-cert -d 'The client\'s certificate for https:// (PEM) [env: ONEWRITER_TLS_CERT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand publish" -l tls-key -d 'The key of --tls-cert (PEM) [env: ONEWRITER_TLS_KEY]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand publish" -l token-file -d 'The client\'s token, in a file [env: ONEWRITER_TOKEN_FILE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand publish" -l timeout -d 'Wait at most so long for locks and the daemon [default: 300] [env: ONEWRITER_TIMEOUT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand publish" -l build -d 'The build that this belongs to [env: ONEWRITER_BUILD]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand publish" -l target -d 'The make target that this is done for [env: ONEWRITER_TARGET]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand publish" -l lease -d 'Refuse to do anything unless this lease is held [env: ONEWRITER_LEASE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand publish" -l move -d 'Use SRC up: rename it into place where that is possible'
complete -c onewriter -n "__fish_onewriter_using_subcommand publish" -s p -l parents -d 'Make missing directories on the way to DST'
complete -c onewriter -n "__fish_onewriter_using_subcommand publish" -l new -d 'Fail where DST exists'
complete -c onewriter -n "__fish_onewriter_using_subcommand publish" -s v -l verbose -d 'Say what was done'
complete -c onewriter -n "__fish_onewriter_using_subcommand publish" -l json -d 'Print the result as JSON, for programs'
complete -c onewriter -n "__fish_onewriter_using_subcommand publish" -s h -l help -d 'Print help'
complete -c onewriter -n "__fish_onewriter_using_subcommand publish" -s V -l version -d 'Print version'
complete -c onewriter -n "__fish_onewriter_using_subcommand batch" -l on-conflict -d 'Where others changed the same files: rerun (run it again), fail, last (overwrite) [default: rerun]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand batch" -l retries -d 'Run it again at most N times [default: 3]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand batch" -l root -d 'The build root, instead of the nearest parent with a .onewriter [env: ONEWRITER_ROOT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand batch" -l server -d 'The daemon\'s address, as in https://HOST:PORT or unix:/path/to/daemon.sock; etcd://HOST:PORT/NAME is whichever owns that root of a cluster [env: ONEWRITER_SERVER]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand batch" -l tls-ca -d 'Trust servers whose certificate one in FILE has signed (PEM) [default: those that the system trusts] [env: ONEWRITER_TLS_CA]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand batch" -l tls-cert -d 'The client\'s certificate for https:// (PEM) [env: ONEWRITER_TLS_CERT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand batch" -l tls-key -d 'The key of --tls-cert (PEM) [env: ONEWRITER_TLS_KEY]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand batch" -l token-file -d 'The client\'s token, in a file [env: ONEWRITER_TOKEN_FILE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand batch" -l timeout -d 'Wait at most so long for locks and the daemon [default: 300] [env: ONEWRITER_TIMEOUT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand batch" -l build -d 'The build that this belongs to [env: ONEWRITER_BUILD]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand batch" -l target -d 'The make target that this is done for [env: ONEWRITER_TARGET]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand batch" -l lease -d 'Refuse to do anything unless this lease is held [env: ONEWRITER_LEASE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand batch" -l keep-failed -d 'Where it fails, keep what it had written for a look'
complete -c onewriter -n "__fish_onewriter_using_subcommand batch" -s v -l verbose -d 'Say what was changed, and how it was kept apart'
complete -c onewriter -n "__fish_onewriter_using_subcommand batch" -l json -d 'Print the result as JSON, for programs'
complete -c onewriter -n "__fish_onewriter_using_subcommand batch" -s h -l help -d 'Print help'
complete -c onewriter -n "__fish_onewriter_using_subcommand batch" -s V -l version -d 'Print version'
complete -c onewriter -n "__fish_onewriter_using_subcommand run" -s o -l output -d 'It makes or changes FILE, or else this is told; may be given several times' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand run" -l unchanged -d 'What to do where the content is there already: keep (leave it alone), touch (new modification time), replace' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand run" -l on-conflict -d 'Where others changed the same files: rerun (run it again), fail, last (overwrite) [default: rerun]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand run" -l retries -d 'Run it again at most N times [default: 3]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand run" -l isolation -d 'What keeps its changes apart: overlay (all that it does), outputs (what it writes to {}), auto [default: auto]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand run" -l root -d 'The build root, instead of the nearest parent with a .onewriter [env: ONEWRITER_ROOT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand run" -l server -d 'The daemon\'s address, as in https://HOST:PORT or unix:/path/to/daemon.sock; etcd://HOST:PORT/NAME is whichever owns that root of a cluster [env: ONEWRITER_SERVER]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand run" -l tls-ca -d 'Trust servers whose certificate one in FILE has signed (PEM) [default: those that the system trusts] [env: ONEWRITER_TLS_CA]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand run" -l tls-cert -d 'The client\'s certificate for https:// (PEM) [env: ONEWRITER_TLS_CERT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand run" -l tls-key -d 'The key of --tls-cert (PEM) [env: ONEWRITER_TLS_KEY]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand run" -l token-file -d 'The client\'s token, in a file [env: ONEWRITER_TOKEN_FILE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand run" -l timeout -d 'Wait at most so long for locks and the daemon [default: 300] [env: ONEWRITER_TIMEOUT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand run" -l build -d 'The build that this belongs to [env: ONEWRITER_BUILD]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand run" -l target -d 'The make target that this is done for [env: ONEWRITER_TARGET]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand run" -l lease -d 'Refuse to do anything unless this lease is held [env: ONEWRITER_LEASE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand run" -l strict -d 'Fail where it changed other files than those of -o, or one of those is not there'
complete -c onewriter -n "__fish_onewriter_using_subcommand run" -l keep-failed -d 'Where it fails, keep what it had written for a look'
complete -c onewriter -n "__fish_onewriter_using_subcommand run" -s v -l verbose -d 'Say what was changed, and how it was kept apart'
complete -c onewriter -n "__fish_onewriter_using_subcommand run" -l json -d 'Print the result as JSON, for programs'
complete -c onewriter -n "__fish_onewriter_using_subcommand run" -s h -l help -d 'Print help'
complete -c onewriter -n "__fish_onewriter_using_subcommand run" -s V -l version -d 'Print version'
complete -c onewriter -n "__fish_onewriter_using_subcommand make" -l unchanged -d 'Of files made again as they were: touch (set their time), keep (leave it), keep PATTERN (of these) [default: touch]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand make" -l unwrapped -d 'Run the recipes of these targets as without onewriter' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand make" -l on-conflict -d 'Where others changed the same files: rerun (run it again), fail, last (overwrite) [default: rerun]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand make" -l root -d 'The build root, instead of the nearest parent with a .onewriter [env: ONEWRITER_ROOT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand make" -l timeout -d 'Each recipe waits at most so long for locks [default: 300] [env: ONEWRITER_TIMEOUT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand make" -l build -d 'What to call this build [env: ONEWRITER_BUILD]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand make" -l quiet -d 'Print no summary'
complete -c onewriter -n "__fish_onewriter_using_subcommand cp" -l unchanged -d 'What to do where the content is there already: keep (leave it alone), touch (new modification time), replace' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand cp" -s t -l target-directory -d 'Put all into DIR' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand cp" -l root -d 'The build root, instead of the nearest parent with a .onewriter [env: ONEWRITER_ROOT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand cp" -l server -d 'The daemon\'s address, as in https://HOST:PORT or unix:/path/to/daemon.sock; etcd://HOST:PORT/NAME is whichever owns that root of a cluster [env: ONEWRITER_SERVER]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand cp" -l tls-ca -d 'Trust servers whose certificate one in FILE has signed (PEM) [default: those that the system trusts] [env: ONEWRITER_TLS_CA]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand cp" -l tls-cert -d 'The client\'s certificate for https:// (PEM) [env: ONEWRITER_TLS_CERT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand cp" -l tls-key -d 'The key of --tls-cert (PEM) [env: ONEWRITER_TLS_KEY]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand cp" -l token-file -d 'The client\'s token, in a file [env: ONEWRITER_TOKEN_FILE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand cp" -l timeout -d 'Wait at most so long for locks and the daemon [default: 300] [env: ONEWRITER_TIMEOUT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand cp" -l build -d 'The build that this belongs to [env: ONEWRITER_BUILD]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand cp" -l target -d 'The make target that this is done for [env: ONEWRITER_TARGET]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand cp" -l lease -d 'Refuse to do anything unless this lease is held [env: ONEWRITER_LEASE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand cp" -s r -l recursive -d 'Copy directories with everything in them; links as links'
complete -c onewriter -n "__fish_onewriter_using_subcommand cp" -s R -l RECURSIVE -d 'The same as -r'
complete -c onewriter -n "__fish_onewriter_using_subcommand cp" -s p -l preserve -d 'Keep mode and modification time'
complete -c onewriter -n "__fish_onewriter_using_subcommand cp" -s f -l force -d 'Accepted for cp\'s sake: a destination is replaced anyway'
complete -c onewriter -n "__fish_onewriter_using_subcommand cp" -s T -l no-target-directory -d 'DST is the very name, even if a directory is there'
complete -c onewriter -n "__fish_onewriter_using_subcommand cp" -s v -l verbose -d 'Say what was done to each'
complete -c onewriter -n "__fish_onewriter_using_subcommand cp" -l json -d 'Print the result as JSON, for programs'
complete -c onewriter -n "__fish_onewriter_using_subcommand cp" -s h -l help -d 'Print help'
complete -c onewriter -n "__fish_onewriter_using_subcommand cp" -s V -l version -d 'Print version'
complete -c onewriter -n "__fish_onewriter_using_subcommand install" -s m -l mode -d 'The mode [default: 755]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand install" -l unchanged -d 'What to do where the content is there already: keep (leave it alone), touch (new modification time), replace' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand install" -s t -l target-directory -d 'Put all into DIR' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand install" -l root -d 'The build root, instead of the nearest parent with a .onewriter [env: ONEWRITER_ROOT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand install" -l server -d 'The daemon\'s address, as in https://HOST:PORT or unix:/path/to/daemon.sock; etcd://HOST:PORT/NAME is whichever owns that root of a cluster [env: ONEWRITER_SERVER]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand install" -l tls-ca -d 'Trust servers whose certificate one in FILE has signed (PEM) [default: those that the system trusts] [env: ONEWRITER_TLS_CA]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand install" -l tls-cert -d 'The client\'s certificate for https:// (PEM) [env: ONEWRITER_TLS_CERT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand install" -l tls-key -d 'The key of --tls-cert (PEM) [env: ONEWRITER_TLS_KEY]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand install" -l token-file -d 'The client\'s token, in a file [env: ONEWRITER_TOKEN_FILE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand install" -l timeout -d 'Wait at most so long for locks and the daemon [default: 300] [env: ONEWRITER_TIMEOUT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand install" -l build -d 'The build that this belongs to [env: ONEWRITER_BUILD]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand install" -l target -d 'The make target that this is done for [env: ONEWRITER_TARGET]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand install" -l lease -d 'Refuse to do anything unless this lease is held [env: ONEWRITER_LEASE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand install" -s d -l directory -d 'Make directories, with those on the way to them'
complete -c onewriter -n "__fish_onewriter_using_subcommand install" -s D -l parents -d 'Make missing directories on the way to DST'
complete -c onewriter -n "__fish_onewriter_using_subcommand install" -s C -l compare -d 'Leave a DST of the same content and mode alone'
complete -c onewriter -n "__fish_onewriter_using_subcommand install" -s c -l copy -d 'Accepted for install\'s sake'
complete -c onewriter -n "__fish_onewriter_using_subcommand install" -s p -l preserve-timestamps -d 'Keep the modification time'
complete -c onewriter -n "__fish_onewriter_using_subcommand install" -s T -l no-target-directory -d 'DST is the very name, even if a directory is there'
complete -c onewriter -n "__fish_onewriter_using_subcommand install" -s v -l verbose -d 'Say what was done to each'
complete -c onewriter -n "__fish_onewriter_using_subcommand install" -l json -d 'Print the result as JSON, for programs'
complete -c onewriter -n "__fish_onewriter_using_subcommand install" -s h -l help -d 'Print help'
complete -c onewriter -n "__fish_onewriter_using_subcommand install" -s V -l version -d 'Print version'
complete -c onewriter -n "__fish_onewriter_using_subcommand mv" -s t -l target-directory -d 'Put all into DIR' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand mv" -l root -d 'The build root, instead of the nearest parent with a .onewriter [env: ONEWRITER_ROOT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand mv" -l server -d 'The daemon\'s address, as in https://HOST:PORT or unix:/path/to/daemon.sock; etcd://HOST:PORT/NAME is whichever owns that root of a cluster [env: ONEWRITER_SERVER]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand mv" -l tls-ca -d 'Trust servers whose certificate one in FILE has signed (PEM) [default: those that the system trusts] [env: ONEWRITER_TLS_CA]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand mv" -l tls-cert -d 'The client\'s certificate for https:// (PEM) [env: ONEWRITER_TLS_CERT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand mv" -l tls-key -d 'The key of --tls-cert (PEM) [env: ONEWRITER_TLS_KEY]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand mv" -l token-file -d 'The client\'s token, in a file [env: ONEWRITER_TOKEN_FILE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand mv" -l timeout -d 'Wait at most so long for locks and the daemon [default: 300] [env: ONEWRITER_TIMEOUT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand mv" -l build -d 'The build that this belongs to [env: ONEWRITER_BUILD]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand mv" -l target -d 'The make target that this is done for [env: ONEWRITER_TARGET]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand mv" -l lease -d 'Refuse to do anything unless this lease is held [env: ONEWRITER_LEASE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand mv" -l keep -d 'Leave a DST of the same content and mode alone'
complete -c onewriter -n "__fish_onewriter_using_subcommand mv" -s f -l force -d 'Accepted for mv\'s sake: nothing is asked anyway'
complete -c onewriter -n "__fish_onewriter_using_subcommand mv" -l new -d 'Fail where DST exists'
complete -c onewriter -n "__fish_onewriter_using_subcommand mv" -s T -l no-target-directory -d 'DST is the very name, even if a directory is there'
complete -c onewriter -n "__fish_onewriter_using_subcommand mv" -s v -l verbose -d 'Say what was done to each'
complete -c onewriter -n "__fish_onewriter_using_subcommand mv" -l json -d 'Print the result as JSON, for programs'
complete -c onewriter -n "__fish_onewriter_using_subcommand mv" -s h -l help -d 'Print help'
complete -c onewriter -n "__fish_onewriter_using_subcommand mv" -s V -l version -d 'Print version'
complete -c onewriter -n "__fish_onewriter_using_subcommand ln" -s t -l target-directory -d 'Put all into DIR' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand ln" -l root -d 'The build root, instead of the nearest parent with a .onewriter [env: ONEWRITER_ROOT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand ln" -l server -d 'The daemon\'s address, as in https://HOST:PORT or unix:/path/to/daemon.sock; etcd://HOST:PORT/NAME is whichever owns that root of a cluster [env: ONEWRITER_SERVER]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand ln" -l tls-ca -d 'Trust servers whose certificate one in FILE has signed (PEM) [default: those that the system trusts] [env: ONEWRITER_TLS_CA]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand ln" -l tls-cert -d 'The client\'s certificate for https:// (PEM) [env: ONEWRITER_TLS_CERT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand ln" -l tls-key -d 'The key of --tls-cert (PEM) [env: ONEWRITER_TLS_KEY]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand ln" -l token-file -d 'The client\'s token, in a file [env: ONEWRITER_TOKEN_FILE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand ln" -l timeout -d 'Wait at most so long for locks and the daemon [default: 300] [env: ONEWRITER_TIMEOUT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand ln" -l build -d 'The build that this belongs to [env: ONEWRITER_BUILD]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand ln" -l target -d 'The make target that this is done for [env: ONEWRITER_TARGET]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand ln" -l lease -d 'Refuse to do anything unless this lease is held [env: ONEWRITER_LEASE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand ln" -s s -l symbolic -d 'Make symbolic links'
complete -c onewriter -n "__fish_onewriter_using_subcommand ln" -s f -l force -d 'Replace what is at the name, unless it is a directory'
complete -c onewriter -n "__fish_onewriter_using_subcommand ln" -s n -l no-dereference -d 'LINK is the very name if it is a link to a directory'
complete -c onewriter -n "__fish_onewriter_using_subcommand ln" -s T -l no-target-directory -d 'DST is the very name, even if a directory is there'
complete -c onewriter -n "__fish_onewriter_using_subcommand ln" -s v -l verbose -d 'Say what was done to each'
complete -c onewriter -n "__fish_onewriter_using_subcommand ln" -l json -d 'Print the result as JSON, for programs'
complete -c onewriter -n "__fish_onewriter_using_subcommand ln" -s h -l help -d 'Print help'
complete -c onewriter -n "__fish_onewriter_using_subcommand ln" -s V -l version -d 'Print version'
complete -c onewriter -n "__fish_onewriter_using_subcommand rm" -l root -d 'The build root, instead of the nearest parent with a .onewriter [env: ONEWRITER_ROOT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand rm" -l server -d 'The daemon\'s address, as in https://HOST:PORT or unix:/path/to/daemon.sock; etcd://HOST:PORT/NAME is whichever owns that root of a cluster [env: ONEWRITER_SERVER]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand rm" -l tls-ca -d 'Trust servers whose certificate one in FILE has signed (PEM) [default: those that the system trusts] [env: ONEWRITER_TLS_CA]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand rm" -l tls-cert -d 'The client\'s certificate for https:// (PEM) [env: ONEWRITER_TLS_CERT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand rm" -l tls-key -d 'The key of --tls-cert (PEM) [env: ONEWRITER_TLS_KEY]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand rm" -l token-file -d 'The client\'s token, in a file [env: ONEWRITER_TOKEN_FILE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand rm" -l timeout -d 'Wait at most so long for locks and the daemon [default: 300] [env: ONEWRITER_TIMEOUT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand rm" -l build -d 'The build that this belongs to [env: ONEWRITER_BUILD]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand rm" -l target -d 'The make target that this is done for [env: ONEWRITER_TARGET]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand rm" -l lease -d 'Refuse to do anything unless this lease is held [env: ONEWRITER_LEASE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand rm" -s f -l force -d 'What does not exist is no error'
complete -c onewriter -n "__fish_onewriter_using_subcommand rm" -s r -l recursive -d 'Remove directories with everything in them'
complete -c onewriter -n "__fish_onewriter_using_subcommand rm" -s R -l RECURSIVE -d 'The same as -r'
complete -c onewriter -n "__fish_onewriter_using_subcommand rm" -s d -l dir -d 'Remove empty directories'
complete -c onewriter -n "__fish_onewriter_using_subcommand rm" -s v -l verbose -d 'Say what was done to each'
complete -c onewriter -n "__fish_onewriter_using_subcommand rm" -l json -d 'Print the result as JSON, for programs'
complete -c onewriter -n "__fish_onewriter_using_subcommand rm" -s h -l help -d 'Print help'
complete -c onewriter -n "__fish_onewriter_using_subcommand rm" -s V -l version -d 'Print version'
complete -c onewriter -n "__fish_onewriter_using_subcommand touch" -s r -l reference -d 'The modification time of FILE instead of now' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand touch" -s d -l date -d 'So many seconds since 1970 instead of now, as in @1700000000.5' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand touch" -l root -d 'The build root, instead of the nearest parent with a .onewriter [env: ONEWRITER_ROOT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand touch" -l server -d 'The daemon\'s address, as in https://HOST:PORT or unix:/path/to/daemon.sock; etcd://HOST:PORT/NAME is whichever owns that root of a cluster [env: ONEWRITER_SERVER]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand touch" -l tls-ca -d 'Trust servers whose certificate one in FILE has signed (PEM) [default: those that the system trusts] [env: ONEWRITER_TLS_CA]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand touch" -l tls-cert -d 'The client\'s certificate for https:// (PEM) [env: ONEWRITER_TLS_CERT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand touch" -l tls-key -d 'The key of --tls-cert (PEM) [env: ONEWRITER_TLS_KEY]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand touch" -l token-file -d 'The client\'s token, in a file [env: ONEWRITER_TOKEN_FILE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand touch" -l timeout -d 'Wait at most so long for locks and the daemon [default: 300] [env: ONEWRITER_TIMEOUT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand touch" -l build -d 'The build that this belongs to [env: ONEWRITER_BUILD]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand touch" -l target -d 'The make target that this is done for [env: ONEWRITER_TARGET]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand touch" -l lease -d 'Refuse to do anything unless this lease is held [env: ONEWRITER_LEASE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand touch" -s c -l no-create -d 'Make no files'
complete -c onewriter -n "__fish_onewriter_using_subcommand touch" -s a -l access -d 'Only the access time'
complete -c onewriter -n "__fish_onewriter_using_subcommand touch" -s m -l modification -d 'Only the modification time'
complete -c onewriter -n "__fish_onewriter_using_subcommand touch" -s v -l verbose -d 'Say what was done to each'
complete -c onewriter -n "__fish_onewriter_using_subcommand touch" -l json -d 'Print the result as JSON, for programs'
complete -c onewriter -n "__fish_onewriter_using_subcommand touch" -s h -l help -d 'Print help'
complete -c onewriter -n "__fish_onewriter_using_subcommand touch" -s V -l version -d 'Print version'
complete -c onewriter -n "__fish_onewriter_using_subcommand simple" -l shell -d 'The shell that would run it [default: /bin/sh]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand simple" -l flags -d 'Its flags, -c or -ec [default: -c]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand simple" -l root -d 'The build root, instead of the nearest parent with a .onewriter [env: ONEWRITER_ROOT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand simple" -l server -d 'The daemon\'s address, as in https://HOST:PORT or unix:/path/to/daemon.sock; etcd://HOST:PORT/NAME is whichever owns that root of a cluster [env: ONEWRITER_SERVER]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand simple" -l tls-ca -d 'Trust servers whose certificate one in FILE has signed (PEM) [default: those that the system trusts] [env: ONEWRITER_TLS_CA]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand simple" -l tls-cert -d 'The client\'s certificate for https:// (PEM) [env: ONEWRITER_TLS_CERT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand simple" -l tls-key -d 'The key of --tls-cert (PEM) [env: ONEWRITER_TLS_KEY]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand simple" -l token-file -d 'The client\'s token, in a file [env: ONEWRITER_TOKEN_FILE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand simple" -l timeout -d 'Wait at most so long for locks and the daemon [default: 300] [env: ONEWRITER_TIMEOUT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand simple" -l build -d 'The build that this belongs to [env: ONEWRITER_BUILD]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand simple" -l target -d 'The make target that this is done for [env: ONEWRITER_TARGET]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand simple" -l lease -d 'Refuse to do anything unless this lease is held [env: ONEWRITER_LEASE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand simple" -l json -d 'Print the result as JSON, for programs'
complete -c onewriter -n "__fish_onewriter_using_subcommand simple" -s h -l help -d 'Print help'
complete -c onewriter -n "__fish_onewriter_using_subcommand simple" -s V -l version -d 'Print version'
complete -c onewriter -n "__fish_onewriter_using_subcommand shims" -s v -l verbose -d 'Say what was done to each'
complete -c onewriter -n "__fish_onewriter_using_subcommand shims" -l json -d 'Print the result as JSON, for programs'
complete -c onewriter -n "__fish_onewriter_using_subcommand shims" -s h -l help -d 'Print help'
complete -c onewriter -n "__fish_onewriter_using_subcommand shims" -s V -l version -d 'Print version'
complete -c onewriter -n "__fish_onewriter_using_subcommand stat" -l root -d 'The build root, instead of the nearest parent with a .onewriter [env: ONEWRITER_ROOT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand stat" -l server -d 'The daemon\'s address, as in https://HOST:PORT or unix:/path/to/daemon.sock; etcd://HOST:PORT/NAME is whichever owns that root of a cluster [env: ONEWRITER_SERVER]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand stat" -l tls-ca -d 'Trust servers whose certificate one in FILE has signed (PEM) [default: those that the system trusts] [env: ONEWRITER_TLS_CA]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand stat" -l tls-cert -d 'The client\'s certificate for https:// (PEM) [env: ONEWRITER_TLS_CERT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand stat" -l tls-key -d 'The key of --tls-cert (PEM) [env: ONEWRITER_TLS_KEY]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand stat" -l token-file -d 'The client\'s token, in a file [env: ONEWRITER_TOKEN_FILE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand stat" -l timeout -d 'Wait at most so long for locks and the daemon [default: 300] [env: ONEWRITER_TIMEOUT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand stat" -l build -d 'The build that this belongs to [env: ONEWRITER_BUILD]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand stat" -l target -d 'The make target that this is done for [env: ONEWRITER_TARGET]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand stat" -l lease -d 'Refuse to do anything unless this lease is held [env: ONEWRITER_LEASE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand stat" -s L -l dereference -d 'Describe what symbolic links lead to'
complete -c onewriter -n "__fish_onewriter_using_subcommand stat" -l json -d 'Print the result as JSON, for programs'
complete -c onewriter -n "__fish_onewriter_using_subcommand stat" -s h -l help -d 'Print help'
complete -c onewriter -n "__fish_onewriter_using_subcommand stat" -s V -l version -d 'Print version'
complete -c onewriter -n "__fish_onewriter_using_subcommand cat" -l root -d 'The build root, instead of the nearest parent with a .onewriter [env: ONEWRITER_ROOT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand cat" -l server -d 'The daemon\'s address, as in https://HOST:PORT or unix:/path/to/daemon.sock; etcd://HOST:PORT/NAME is whichever owns that root of a cluster [env: ONEWRITER_SERVER]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand cat" -l tls-ca -d 'Trust servers whose certificate one in FILE has signed (PEM) [default: those that the system trusts] [env: ONEWRITER_TLS_CA]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand cat" -l tls-cert -d 'The client\'s certificate for https:// (PEM) [env: ONEWRITER_TLS_CERT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand cat" -l tls-key -d 'The key of --tls-cert (PEM) [env: ONEWRITER_TLS_KEY]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand cat" -l token-file -d 'The client\'s token, in a file [env: ONEWRITER_TOKEN_FILE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand cat" -l timeout -d 'Wait at most so long for locks and the daemon [default: 300] [env: ONEWRITER_TIMEOUT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand cat" -l build -d 'The build that this belongs to [env: ONEWRITER_BUILD]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand cat" -l target -d 'The make target that this is done for [env: ONEWRITER_TARGET]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand cat" -l lease -d 'Refuse to do anything unless this lease is held [env: ONEWRITER_LEASE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand cat" -l json -d 'Print the result as JSON, for programs'
complete -c onewriter -n "__fish_onewriter_using_subcommand cat" -s h -l help -d 'Print help'
complete -c onewriter -n "__fish_onewriter_using_subcommand cat" -s V -l version -d 'Print version'
complete -c onewriter -n "__fish_onewriter_using_subcommand fetch" -l to -d 'The directory that stands for the root [default: .]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand fetch" -l root -d 'The build root, instead of the nearest parent with a .onewriter [env: ONEWRITER_ROOT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand fetch" -l server -d 'The daemon\'s address, as in https://HOST:PORT or unix:/path/to/daemon.sock; etcd://HOST:PORT/NAME is whichever owns that root of a cluster [env: ONEWRITER_SERVER]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand fetch" -l tls-ca -d 'Trust servers whose certificate one in FILE has signed (PEM) [default: those that the system trusts] [env: ONEWRITER_TLS_CA]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand fetch" -l tls-cert -d 'The client\'s certificate for https:// (PEM) [env: ONEWRITER_TLS_CERT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand fetch" -l tls-key -d 'The key of --tls-cert (PEM) [env: ONEWRITER_TLS_KEY]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand fetch" -l token-file -d 'The client\'s token, in a file [env: ONEWRITER_TOKEN_FILE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand fetch" -l timeout -d 'Wait at most so long for locks and the daemon [default: 300] [env: ONEWRITER_TIMEOUT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand fetch" -l build -d 'The build that this belongs to [env: ONEWRITER_BUILD]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand fetch" -l target -d 'The make target that this is done for [env: ONEWRITER_TARGET]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand fetch" -l lease -d 'Refuse to do anything unless this lease is held [env: ONEWRITER_LEASE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand fetch" -s v -l verbose -d 'Say what was fetched'
complete -c onewriter -n "__fish_onewriter_using_subcommand fetch" -l json -d 'Print the result as JSON, for programs'
complete -c onewriter -n "__fish_onewriter_using_subcommand fetch" -s h -l help -d 'Print help'
complete -c onewriter -n "__fish_onewriter_using_subcommand fetch" -s V -l version -d 'Print version'
complete -c onewriter -n "__fish_onewriter_using_subcommand lock" -l ttl -d 'The lease ends so long after the last sign of this client [default: 15]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand lock" -l root -d 'The build root, instead of the nearest parent with a .onewriter [env: ONEWRITER_ROOT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand lock" -l server -d 'The daemon\'s address, as in https://HOST:PORT or unix:/path/to/daemon.sock; etcd://HOST:PORT/NAME is whichever owns that root of a cluster [env: ONEWRITER_SERVER]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand lock" -l tls-ca -d 'Trust servers whose certificate one in FILE has signed (PEM) [default: those that the system trusts] [env: ONEWRITER_TLS_CA]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand lock" -l tls-cert -d 'The client\'s certificate for https:// (PEM) [env: ONEWRITER_TLS_CERT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand lock" -l tls-key -d 'The key of --tls-cert (PEM) [env: ONEWRITER_TLS_KEY]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand lock" -l token-file -d 'The client\'s token, in a file [env: ONEWRITER_TOKEN_FILE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand lock" -l timeout -d 'Wait at most so long for locks and the daemon [default: 300] [env: ONEWRITER_TIMEOUT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand lock" -l build -d 'The build that this belongs to [env: ONEWRITER_BUILD]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand lock" -l target -d 'The make target that this is done for [env: ONEWRITER_TARGET]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand lock" -l lease -d 'Refuse to do anything unless this lease is held [env: ONEWRITER_LEASE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand lock" -s n -l name -d 'The operand is a name, not a path: no \'/\' in it'
complete -c onewriter -n "__fish_onewriter_using_subcommand lock" -s s -l shared -d 'Together with others who share it; mutations wait all the same'
complete -c onewriter -n "__fish_onewriter_using_subcommand lock" -l json -d 'Print the result as JSON, for programs'
complete -c onewriter -n "__fish_onewriter_using_subcommand lock" -s h -l help -d 'Print help'
complete -c onewriter -n "__fish_onewriter_using_subcommand lock" -s V -l version -d 'Print version'
complete -c onewriter -n "__fish_onewriter_using_subcommand once" -l scope -d 'Once in this \'build\' (see --build), or for the build \'root\' [default: build]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand once" -s o -l output -d 'A file that the command makes; may be repeated' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand once" -l ttl -d 'The lease ends so long after the last sign of this client [default: 15]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand once" -l root -d 'The build root, instead of the nearest parent with a .onewriter [env: ONEWRITER_ROOT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand once" -l server -d 'The daemon\'s address, as in https://HOST:PORT or unix:/path/to/daemon.sock; etcd://HOST:PORT/NAME is whichever owns that root of a cluster [env: ONEWRITER_SERVER]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand once" -l tls-ca -d 'Trust servers whose certificate one in FILE has signed (PEM) [default: those that the system trusts] [env: ONEWRITER_TLS_CA]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand once" -l tls-cert -d 'The client\'s certificate for https:// (PEM) [env: ONEWRITER_TLS_CERT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand once" -l tls-key -d 'The key of --tls-cert (PEM) [env: ONEWRITER_TLS_KEY]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand once" -l token-file -d 'The client\'s token, in a file [env: ONEWRITER_TOKEN_FILE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand once" -l timeout -d 'Wait at most so long for locks and the daemon [default: 300] [env: ONEWRITER_TIMEOUT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand once" -l build -d 'The build that this belongs to [env: ONEWRITER_BUILD]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand once" -l target -d 'The make target that this is done for [env: ONEWRITER_TARGET]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand once" -l lease -d 'Refuse to do anything unless this lease is held [env: ONEWRITER_LEASE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand once" -l unwrapped -d 'Run it in the tree as it is, not as a transaction'
complete -c onewriter -n "__fish_onewriter_using_subcommand once" -l forget -d 'Forget that it ran'
complete -c onewriter -n "__fish_onewriter_using_subcommand once" -s v -l verbose -d 'Say who ran it, if it was another'
complete -c onewriter -n "__fish_onewriter_using_subcommand once" -l json -d 'Print the result as JSON, for programs'
complete -c onewriter -n "__fish_onewriter_using_subcommand once" -s h -l help -d 'Print help'
complete -c onewriter -n "__fish_onewriter_using_subcommand once" -s V -l version -d 'Print version'
complete -c onewriter -n "__fish_onewriter_using_subcommand wait" -s f -l from -d 'Wait for a change after this record' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand wait" -l root -d 'The build root, instead of the nearest parent with a .onewriter [env: ONEWRITER_ROOT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand wait" -l server -d 'The daemon\'s address, as in https://HOST:PORT or unix:/path/to/daemon.sock; etcd://HOST:PORT/NAME is whichever owns that root of a cluster [env: ONEWRITER_SERVER]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand wait" -l tls-ca -d 'Trust servers whose certificate one in FILE has signed (PEM) [default: those that the system trusts] [env: ONEWRITER_TLS_CA]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand wait" -l tls-cert -d 'The client\'s certificate for https:// (PEM) [env: ONEWRITER_TLS_CERT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand wait" -l tls-key -d 'The key of --tls-cert (PEM) [env: ONEWRITER_TLS_KEY]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand wait" -l token-file -d 'The client\'s token, in a file [env: ONEWRITER_TOKEN_FILE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand wait" -l timeout -d 'Wait at most so long for locks and the daemon [default: 300] [env: ONEWRITER_TIMEOUT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand wait" -l build -d 'The build that this belongs to [env: ONEWRITER_BUILD]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand wait" -l target -d 'The make target that this is done for [env: ONEWRITER_TARGET]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand wait" -l lease -d 'Refuse to do anything unless this lease is held [env: ONEWRITER_LEASE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand wait" -s c -l changed -d 'Wait for a change, also where something is there already'
complete -c onewriter -n "__fish_onewriter_using_subcommand wait" -s v -l verbose -d 'Say what has come'
complete -c onewriter -n "__fish_onewriter_using_subcommand wait" -l json -d 'Print the result as JSON, for programs'
complete -c onewriter -n "__fish_onewriter_using_subcommand wait" -s h -l help -d 'Print help'
complete -c onewriter -n "__fish_onewriter_using_subcommand wait" -s V -l version -d 'Print version'
complete -c onewriter -n "__fish_onewriter_using_subcommand watch" -s f -l from -d 'Begin after this record; 0: with the first one' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand watch" -s n -l count -d 'End after N records' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand watch" -l root -d 'The build root, instead of the nearest parent with a .onewriter [env: ONEWRITER_ROOT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand watch" -l server -d 'The daemon\'s address, as in https://HOST:PORT or unix:/path/to/daemon.sock; etcd://HOST:PORT/NAME is whichever owns that root of a cluster [env: ONEWRITER_SERVER]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand watch" -l tls-ca -d 'Trust servers whose certificate one in FILE has signed (PEM) [default: those that the system trusts] [env: ONEWRITER_TLS_CA]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand watch" -l tls-cert -d 'The client\'s certificate for https:// (PEM) [env: ONEWRITER_TLS_CERT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand watch" -l tls-key -d 'The key of --tls-cert (PEM) [env: ONEWRITER_TLS_KEY]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand watch" -l token-file -d 'The client\'s token, in a file [env: ONEWRITER_TOKEN_FILE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand watch" -l timeout -d 'Wait at most so long for locks and the daemon [default: 300] [env: ONEWRITER_TIMEOUT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand watch" -l build -d 'The build that this belongs to [env: ONEWRITER_BUILD]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand watch" -l target -d 'The make target that this is done for [env: ONEWRITER_TARGET]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand watch" -l lease -d 'Refuse to do anything unless this lease is held [env: ONEWRITER_LEASE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand watch" -s c -l changes -d 'Leave out what changed nothing'
complete -c onewriter -n "__fish_onewriter_using_subcommand watch" -l json -d 'Print the result as JSON, for programs'
complete -c onewriter -n "__fish_onewriter_using_subcommand watch" -s h -l help -d 'Print help'
complete -c onewriter -n "__fish_onewriter_using_subcommand watch" -s V -l version -d 'Print version'
complete -c onewriter -n "__fish_onewriter_using_subcommand log" -s n -l lines -d 'The last N records; 0 means all [default: 50]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand log" -l path -d 'Only this path, and what lies below it' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand log" -l root -d 'The build root, instead of the nearest parent with a .onewriter [env: ONEWRITER_ROOT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand log" -l server -d 'The daemon\'s address, as in https://HOST:PORT or unix:/path/to/daemon.sock; etcd://HOST:PORT/NAME is whichever owns that root of a cluster [env: ONEWRITER_SERVER]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand log" -l tls-ca -d 'Trust servers whose certificate one in FILE has signed (PEM) [default: those that the system trusts] [env: ONEWRITER_TLS_CA]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand log" -l tls-cert -d 'The client\'s certificate for https:// (PEM) [env: ONEWRITER_TLS_CERT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand log" -l tls-key -d 'The key of --tls-cert (PEM) [env: ONEWRITER_TLS_KEY]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand log" -l token-file -d 'The client\'s token, in a file [env: ONEWRITER_TOKEN_FILE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand log" -l timeout -d 'Wait at most so long for locks and the daemon [default: 300] [env: ONEWRITER_TIMEOUT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand log" -l build -d 'The build that this belongs to [env: ONEWRITER_BUILD]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand log" -l target -d 'The make target that this is done for [env: ONEWRITER_TARGET]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand log" -l lease -d 'Refuse to do anything unless this lease is held [env: ONEWRITER_LEASE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand log" -s c -l changes -d 'Leave out what changed nothing'
complete -c onewriter -n "__fish_onewriter_using_subcommand log" -l json -d 'Print the result as JSON, for programs'
complete -c onewriter -n "__fish_onewriter_using_subcommand log" -s h -l help -d 'Print help'
complete -c onewriter -n "__fish_onewriter_using_subcommand log" -s V -l version -d 'Print version'
complete -c onewriter -n "__fish_onewriter_using_subcommand report" -l html -d 'Write a page for a browser to FILE, complete in itself' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand report" -s n -l lines -d 'Name so many findings and recipes; 0 means all [default: 20]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand report" -l root -d 'The build root, instead of the nearest parent with a .onewriter [env: ONEWRITER_ROOT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand report" -l server -d 'The daemon\'s address, as in https://HOST:PORT or unix:/path/to/daemon.sock; etcd://HOST:PORT/NAME is whichever owns that root of a cluster [env: ONEWRITER_SERVER]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand report" -l tls-ca -d 'Trust servers whose certificate one in FILE has signed (PEM) [default: those that the system trusts] [env: ONEWRITER_TLS_CA]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand report" -l tls-cert -d 'The client\'s certificate for https:// (PEM) [env: ONEWRITER_TLS_CERT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand report" -l tls-key -d 'The key of --tls-cert (PEM) [env: ONEWRITER_TLS_KEY]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand report" -l token-file -d 'The client\'s token, in a file [env: ONEWRITER_TOKEN_FILE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand report" -l timeout -d 'Wait at most so long for locks and the daemon [default: 300] [env: ONEWRITER_TIMEOUT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand report" -l build -d 'The build that this belongs to [env: ONEWRITER_BUILD]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand report" -l target -d 'The make target that this is done for [env: ONEWRITER_TARGET]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand report" -l lease -d 'Refuse to do anything unless this lease is held [env: ONEWRITER_LEASE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand report" -s l -l list -d 'List the builds on record instead, the newest first'
complete -c onewriter -n "__fish_onewriter_using_subcommand report" -l json -d 'Print the result as JSON, for programs'
complete -c onewriter -n "__fish_onewriter_using_subcommand report" -s h -l help -d 'Print help'
complete -c onewriter -n "__fish_onewriter_using_subcommand report" -s V -l version -d 'Print version'
complete -c onewriter -n "__fish_onewriter_using_subcommand status" -l root -d 'The build root, instead of the nearest parent with a .onewriter [env: ONEWRITER_ROOT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand status" -l server -d 'The daemon\'s address, as in https://HOST:PORT or unix:/path/to/daemon.sock; etcd://HOST:PORT/NAME is whichever owns that root of a cluster [env: ONEWRITER_SERVER]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand status" -l tls-ca -d 'Trust servers whose certificate one in FILE has signed (PEM) [default: those that the system trusts] [env: ONEWRITER_TLS_CA]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand status" -l tls-cert -d 'The client\'s certificate for https:// (PEM) [env: ONEWRITER_TLS_CERT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand status" -l tls-key -d 'The key of --tls-cert (PEM) [env: ONEWRITER_TLS_KEY]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand status" -l token-file -d 'The client\'s token, in a file [env: ONEWRITER_TOKEN_FILE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand status" -l timeout -d 'Wait at most so long for locks and the daemon [default: 300] [env: ONEWRITER_TIMEOUT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand status" -l build -d 'The build that this belongs to [env: ONEWRITER_BUILD]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand status" -l target -d 'The make target that this is done for [env: ONEWRITER_TARGET]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand status" -l lease -d 'Refuse to do anything unless this lease is held [env: ONEWRITER_LEASE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand status" -l json -d 'Print the result as JSON, for programs'
complete -c onewriter -n "__fish_onewriter_using_subcommand status" -s h -l help -d 'Print help'
complete -c onewriter -n "__fish_onewriter_using_subcommand status" -s V -l version -d 'Print version'
complete -c onewriter -n "__fish_onewriter_using_subcommand workers" -l root -d 'The build root, instead of the nearest parent with a .onewriter [env: ONEWRITER_ROOT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand workers" -l server -d 'The daemon\'s address, as in https://HOST:PORT or unix:/path/to/daemon.sock; etcd://HOST:PORT/NAME is whichever owns that root of a cluster [env: ONEWRITER_SERVER]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand workers" -l tls-ca -d 'Trust servers whose certificate one in FILE has signed (PEM) [default: those that the system trusts] [env: ONEWRITER_TLS_CA]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand workers" -l tls-cert -d 'The client\'s certificate for https:// (PEM) [env: ONEWRITER_TLS_CERT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand workers" -l tls-key -d 'The key of --tls-cert (PEM) [env: ONEWRITER_TLS_KEY]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand workers" -l token-file -d 'The client\'s token, in a file [env: ONEWRITER_TOKEN_FILE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand workers" -l timeout -d 'Wait at most so long for locks and the daemon [default: 300] [env: ONEWRITER_TIMEOUT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand workers" -l build -d 'The build that this belongs to [env: ONEWRITER_BUILD]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand workers" -l target -d 'The make target that this is done for [env: ONEWRITER_TARGET]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand workers" -l lease -d 'Refuse to do anything unless this lease is held [env: ONEWRITER_LEASE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand workers" -l json -d 'Print the result as JSON, for programs'
complete -c onewriter -n "__fish_onewriter_using_subcommand workers" -s h -l help -d 'Print help'
complete -c onewriter -n "__fish_onewriter_using_subcommand workers" -s V -l version -d 'Print version'
complete -c onewriter -n "__fish_onewriter_using_subcommand stats" -l root -d 'The build root, instead of the nearest parent with a .onewriter [env: ONEWRITER_ROOT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand stats" -l server -d 'The daemon\'s address, as in https://HOST:PORT or unix:/path/to/daemon.sock; etcd://HOST:PORT/NAME is whichever owns that root of a cluster [env: ONEWRITER_SERVER]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand stats" -l tls-ca -d 'Trust servers whose certificate one in FILE has signed (PEM) [default: those that the system trusts] [env: ONEWRITER_TLS_CA]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand stats" -l tls-cert -d 'The client\'s certificate for https:// (PEM) [env: ONEWRITER_TLS_CERT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand stats" -l tls-key -d 'The key of --tls-cert (PEM) [env: ONEWRITER_TLS_KEY]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand stats" -l token-file -d 'The client\'s token, in a file [env: ONEWRITER_TOKEN_FILE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand stats" -l timeout -d 'Wait at most so long for locks and the daemon [default: 300] [env: ONEWRITER_TIMEOUT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand stats" -l build -d 'The build that this belongs to [env: ONEWRITER_BUILD]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand stats" -l target -d 'The make target that this is done for [env: ONEWRITER_TARGET]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand stats" -l lease -d 'Refuse to do anything unless this lease is held [env: ONEWRITER_LEASE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand stats" -l json -d 'Print the result as JSON, for programs'
complete -c onewriter -n "__fish_onewriter_using_subcommand stats" -s h -l help -d 'Print help'
complete -c onewriter -n "__fish_onewriter_using_subcommand stats" -s V -l version -d 'Print version'
complete -c onewriter -n "__fish_onewriter_using_subcommand top" -s d -l delay -d 'Look again after so long [default: 1]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand top" -l root -d 'The build root, instead of the nearest parent with a .onewriter [env: ONEWRITER_ROOT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand top" -l server -d 'The daemon\'s address, as in https://HOST:PORT or unix:/path/to/daemon.sock; etcd://HOST:PORT/NAME is whichever owns that root of a cluster [env: ONEWRITER_SERVER]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand top" -l tls-ca -d 'Trust servers whose certificate one in FILE has signed (PEM) [default: those that the system trusts] [env: ONEWRITER_TLS_CA]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand top" -l tls-cert -d 'The client\'s certificate for https:// (PEM) [env: ONEWRITER_TLS_CERT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand top" -l tls-key -d 'The key of --tls-cert (PEM) [env: ONEWRITER_TLS_KEY]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand top" -l token-file -d 'The client\'s token, in a file [env: ONEWRITER_TOKEN_FILE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand top" -l timeout -d 'Wait at most so long for locks and the daemon [default: 300] [env: ONEWRITER_TIMEOUT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand top" -l build -d 'The build that this belongs to [env: ONEWRITER_BUILD]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand top" -l target -d 'The make target that this is done for [env: ONEWRITER_TARGET]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand top" -l lease -d 'Refuse to do anything unless this lease is held [env: ONEWRITER_LEASE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand top" -l once -d 'Print it once, with all lines, and end'
complete -c onewriter -n "__fish_onewriter_using_subcommand top" -l json -d 'Print the result as JSON, for programs'
complete -c onewriter -n "__fish_onewriter_using_subcommand top" -s h -l help -d 'Print help'
complete -c onewriter -n "__fish_onewriter_using_subcommand top" -s V -l version -d 'Print version'
complete -c onewriter -n "__fish_onewriter_using_subcommand stop" -l root -d 'The build root, instead of the nearest parent with a .onewriter [env: ONEWRITER_ROOT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand stop" -l server -d 'The daemon\'s address, as in https://HOST:PORT or unix:/path/to/daemon.sock; etcd://HOST:PORT/NAME is whichever owns that root of a cluster [env: ONEWRITER_SERVER]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand stop" -l tls-ca -d 'Trust servers whose certificate one in FILE has signed (PEM) [default: those that the system trusts] [env: ONEWRITER_TLS_CA]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand stop" -l tls-cert -d 'The client\'s certificate for https:// (PEM) [env: ONEWRITER_TLS_CERT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand stop" -l tls-key -d 'The key of --tls-cert (PEM) [env: ONEWRITER_TLS_KEY]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand stop" -l token-file -d 'The client\'s token, in a file [env: ONEWRITER_TOKEN_FILE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand stop" -l timeout -d 'Wait at most so long for locks and the daemon [default: 300] [env: ONEWRITER_TIMEOUT]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand stop" -l build -d 'The build that this belongs to [env: ONEWRITER_BUILD]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand stop" -l target -d 'The make target that this is done for [env: ONEWRITER_TARGET]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand stop" -l lease -d 'Refuse to do anything unless this lease is held [env: ONEWRITER_LEASE]' -r
complete -c onewriter -n "__fish_onewriter_using_subcommand stop" -l json -d 'Print the result as JSON, for programs'
complete -c onewriter -n "__fish_onewriter_using_subcommand stop" -s h -l help -d 'Print help'
complete -c onewriter -n "__fish_onewriter_using_subcommand stop" -s V -l version -d 'Print version'
complete -c onewriter -n "__fish_onewriter_using_subcommand completions" -s h -l help -d 'Print help'
complete -c onewriter -n "__fish_onewriter_using_subcommand completions" -s V -l version -d 'Print version'
complete -c onewriter -n "__fish_onewriter_using_subcommand help; and not __fish_seen_subcommand_from init mkdir publish batch run make cp install mv ln rm touch simple shims stat cat fetch lock once wait watch log report status workers stats top stop completions help" -f -a "init" -d 'Make DIR (default: here) a build root'
complete -c onewriter -n "__fish_onewriter_using_subcommand help; and not __fish_seen_subcommand_from init mkdir publish batch run make cp install mv ln rm touch simple shims stat cat fetch lock once wait watch log report status workers stats top stop completions help" -f -a "mkdir" -d 'Make directories, and those on the way to them'
complete -c onewriter -n "__fish_onewriter_using_subcommand help; and not __fish_seen_subcommand_from init mkdir publish batch run make cp install mv ln rm touch simple shims stat cat fetch lock once wait watch log report status workers stats top stop completions help" -f -a "publish" -d 'Put a complete file at a path in one step'
complete -c onewriter -n "__fish_onewriter_using_subcommand help; and not __fish_seen_subcommand_from init mkdir publish batch run make cp install mv ln rm touch simple shims stat cat fetch lock once wait watch log report status workers stats top stop completions help" -f -a "batch" -d 'Apply a list of mutations, all together or none of them'
complete -c onewriter -n "__fish_onewriter_using_subcommand help; and not __fish_seen_subcommand_from init mkdir publish batch run make cp install mv ln rm touch simple shims stat cat fetch lock once wait watch log report status workers stats top stop completions help" -f -a "run" -d 'Run a command whose changes happen together when it succeeds, or not at all'
complete -c onewriter -n "__fish_onewriter_using_subcommand help; and not __fish_seen_subcommand_from init mkdir publish batch run make cp install mv ln rm touch simple shims stat cat fetch lock once wait watch log report status workers stats top stop completions help" -f -a "make" -d 'Build with make, so that no recipe sees half of what another one does'
complete -c onewriter -n "__fish_onewriter_using_subcommand help; and not __fish_seen_subcommand_from init mkdir publish batch run make cp install mv ln rm touch simple shims stat cat fetch lock once wait watch log report status workers stats top stop completions help" -f -a "cp" -d 'Copy files and trees, each file in one step'
complete -c onewriter -n "__fish_onewriter_using_subcommand help; and not __fish_seen_subcommand_from init mkdir publish batch run make cp install mv ln rm touch simple shims stat cat fetch lock once wait watch log report status workers stats top stop completions help" -f -a "install" -d 'Copy files and set their mode, each in one step; or make directories (-d)'
complete -c onewriter -n "__fish_onewriter_using_subcommand help; and not __fish_seen_subcommand_from init mkdir publish batch run make cp install mv ln rm touch simple shims stat cat fetch lock once wait watch log report status workers stats top stop completions help" -f -a "mv" -d 'Rename files and directories, or move files into the tree'
complete -c onewriter -n "__fish_onewriter_using_subcommand help; and not __fish_seen_subcommand_from init mkdir publish batch run make cp install mv ln rm touch simple shims stat cat fetch lock once wait watch log report status workers stats top stop completions help" -f -a "ln" -d 'Make hard links, or symbolic ones (-s)'
complete -c onewriter -n "__fish_onewriter_using_subcommand help; and not __fish_seen_subcommand_from init mkdir publish batch run make cp install mv ln rm touch simple shims stat cat fetch lock once wait watch log report status workers stats top stop completions help" -f -a "rm" -d 'Remove files, or whole trees (-r) in one step'
complete -c onewriter -n "__fish_onewriter_using_subcommand help; and not __fish_seen_subcommand_from init mkdir publish batch run make cp install mv ln rm touch simple shims stat cat fetch lock once wait watch log report status workers stats top stop completions help" -f -a "touch" -d 'Set modification and access time to now, making empty files where there are none'
complete -c onewriter -n "__fish_onewriter_using_subcommand help; and not __fish_seen_subcommand_from init mkdir publish batch run make cp install mv ln rm touch simple shims stat cat fetch lock once wait watch log report status workers stats top stop completions help" -f -a "simple" -d 'Do a recipe line that needs no shell, or say that it needs one'
complete -c onewriter -n "__fish_onewriter_using_subcommand help; and not __fish_seen_subcommand_from init mkdir publish batch run make cp install mv ln rm touch simple shims stat cat fetch lock once wait watch log report status workers stats top stop completions help" -f -a "shims" -d 'Fill DIR with links by which mkdir, cp, install and others go through the daemon'
complete -c onewriter -n "__fish_onewriter_using_subcommand help; and not __fish_seen_subcommand_from init mkdir publish batch run make cp install mv ln rm touch simple shims stat cat fetch lock once wait watch log report status workers stats top stop completions help" -f -a "stat" -d 'Describe paths as the daemon sees them'
complete -c onewriter -n "__fish_onewriter_using_subcommand help; and not __fish_seen_subcommand_from init mkdir publish batch run make cp install mv ln rm touch simple shims stat cat fetch lock once wait watch log report status workers stats top stop completions help" -f -a "cat" -d 'Print files; each is one file\'s content, whatever is published meanwhile'
complete -c onewriter -n "__fish_onewriter_using_subcommand help; and not __fish_seen_subcommand_from init mkdir publish batch run make cp install mv ln rm touch simple shims stat cat fetch lock once wait watch log report status workers stats top stop completions help" -f -a "fetch" -d 'Bring files and trees of the build root to another directory or machine'
complete -c onewriter -n "__fish_onewriter_using_subcommand help; and not __fish_seen_subcommand_from init mkdir publish batch run make cp install mv ln rm touch simple shims stat cat fetch lock once wait watch log report status workers stats top stop completions help" -f -a "lock" -d 'Run a command while nobody else changes a path, or holds a name'
complete -c onewriter -n "__fish_onewriter_using_subcommand help; and not __fish_seen_subcommand_from init mkdir publish batch run make cp install mv ln rm touch simple shims stat cat fetch lock once wait watch log report status workers stats top stop completions help" -f -a "once" -d 'Run a command once, whoever asks for it and how often'
complete -c onewriter -n "__fish_onewriter_using_subcommand help; and not __fish_seen_subcommand_from init mkdir publish batch run make cp install mv ln rm touch simple shims stat cat fetch lock once wait watch log report status workers stats top stop completions help" -f -a "wait" -d 'Wait until something is at each path'
complete -c onewriter -n "__fish_onewriter_using_subcommand help; and not __fish_seen_subcommand_from init mkdir publish batch run make cp install mv ln rm touch simple shims stat cat fetch lock once wait watch log report status workers stats top stop completions help" -f -a "watch" -d 'Print what is changed as it happens, by whom, for which target'
complete -c onewriter -n "__fish_onewriter_using_subcommand help; and not __fish_seen_subcommand_from init mkdir publish batch run make cp install mv ln rm touch simple shims stat cat fetch lock once wait watch log report status workers stats top stop completions help" -f -a "log" -d 'Print what was changed, when, by whom, for which target'
complete -c onewriter -n "__fish_onewriter_using_subcommand help; and not __fish_seen_subcommand_from init mkdir publish batch run make cp install mv ln rm touch simple shims stat cat fetch lock once wait watch log report status workers stats top stop completions help" -f -a "report" -d 'Tell what a build did, which races were avoided, and what was at odds'
complete -c onewriter -n "__fish_onewriter_using_subcommand help; and not __fish_seen_subcommand_from init mkdir publish batch run make cp install mv ln rm touch simple shims stat cat fetch lock once wait watch log report status workers stats top stop completions help" -f -a "status" -d 'Show the daemon, and who holds and who waits for which path or lease'
complete -c onewriter -n "__fish_onewriter_using_subcommand help; and not __fish_seen_subcommand_from init mkdir publish batch run make cp install mv ln rm touch simple shims stat cat fetch lock once wait watch log report status workers stats top stop completions help" -f -a "workers" -d 'Show who is connected, what they hold and wait for, and what they run'
complete -c onewriter -n "__fish_onewriter_using_subcommand help; and not __fish_seen_subcommand_from init mkdir publish batch run make cp install mv ln rm touch simple shims stat cat fetch lock once wait watch log report status workers stats top stop completions help" -f -a "stats" -d 'Count what was done since the daemon started'
complete -c onewriter -n "__fish_onewriter_using_subcommand help; and not __fish_seen_subcommand_from init mkdir publish batch run make cp install mv ln rm touch simple shims stat cat fetch lock once wait watch log report status workers stats top stop completions help" -f -a "top" -d 'Show what runs, who holds, who waits, and how much is done, as it happens'
complete -c onewriter -n "__fish_onewriter_using_subcommand help; and not __fish_seen_subcommand_from init mkdir publish batch run make cp install mv ln rm touch simple shims stat cat fetch lock once wait watch log report status workers stats top stop completions help" -f -a "stop" -d 'End the daemon when the requests under way are done'
complete -c onewriter -n "__fish_onewriter_using_subcommand help; and not __fish_seen_subcommand_from init mkdir publish batch run make cp install mv ln rm touch simple shims stat cat fetch lock once wait watch log report status workers stats top stop completions help" -f -a "completions" -d 'Print the completion script for SHELL: bash, elvish, fish, powershell or zsh'
complete -c onewriter -n "__fish_onewriter_using_subcommand help; and not __fish_seen_subcommand_from init mkdir publish batch run make cp install mv ln rm touch simple shims stat cat fetch lock once wait watch log report status workers stats top stop completions help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
