# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_onewriterd_global_optspecs
    string join \n root= durability= idle-timeout= state= drain-timeout= cas-size= cas= cas-tls-ca= cas-tls-cert= cas-tls-key= cas-token-file= cas-timeout= metrics= otlp= otlp-tls-ca= log-format= listen= tls-cert= tls-key= tls-client-ca= tokens= insecure-loopback allow= max-connections= handshake-timeout= keep-alive= idle-connection= cluster= name= advertise= cluster-ttl= config= check-config detach replace detached h/help V/version
end

function __fish_onewriterd_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_onewriterd_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_onewriterd_using_subcommand
    set -l cmd (__fish_onewriterd_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c onewriterd -n "__fish_onewriterd_needs_command" -l root -d 'The build root; `onewriter init` makes one' -r -F
complete -c onewriterd -n "__fish_onewriterd_needs_command" -l durability -d 'When a change may be called done: when the kernel has it (it survives the end of any process), or when the disk has it (it survives a power cut) [default: process]' -r -f -a "process\t'Survives the end of any process'
power\t'Survives a power cut'"
complete -c onewriterd -n "__fish_onewriterd_needs_command" -l idle-timeout -d 'End after so many seconds without a client; 0 means never [default: 600]' -r
complete -c onewriterd -n "__fish_onewriterd_needs_command" -l state -d 'The directory of the journal, on a local disk, where the root lies on a network filesystem [default: ROOT/.onewriter]' -r -F
complete -c onewriterd -n "__fish_onewriterd_needs_command" -l drain-timeout -d 'How long requests under way may take to end when the daemon stops, in seconds [default: 10]' -r
complete -c onewriterd -n "__fish_onewriterd_needs_command" -l cas-size -d 'How much content to keep by its digest, below ROOT/.onewriter/cas: bytes, or a number with K, M, G or T behind it. What was not used for the longest time goes first [default: 10G]' -r
complete -c onewriterd -n "__fish_onewriterd_needs_command" -l cas -d 'Keep content by its digest, and results of actions, in this store of the Remote Execution API (bazel-remote, NativeLink, Buildbarn, BuildGrid, another onewriterd) instead of below ROOT/.onewriter: grpcs://HOST:PORT[/INSTANCE], or grpc:// for one on this machine' -r
complete -c onewriterd -n "__fish_onewriterd_needs_command" -l cas-tls-ca -d 'Whom to trust as that store: authorities (PEM) [default: the system\'s]' -r -F
complete -c onewriterd -n "__fish_onewriterd_needs_command" -l cas-tls-cert -d 'The certificate that the daemon shows to the store (PEM)' -r -F
complete -c onewriterd -n "__fish_onewriterd_needs_command" -l cas-tls-key -d 'Its key (PEM)' -r -F
complete -c onewriterd -n "__fish_onewriterd_needs_command" -l cas-token-file -d 'A file that holds the token by which the store knows the daemon, and nothing else' -r -F
complete -c onewriterd -n "__fish_onewriterd_needs_command" -l cas-timeout -d 'How long the store may be silent before a request that needs it fails, in seconds [default: 30]' -r
complete -c onewriterd -n "__fish_onewriterd_needs_command" -l metrics -d 'Serve figures for Prometheus at this address, without encryption and to whoever asks: name one that only the right machines reach, as in 127.0.0.1:9467' -r
complete -c onewriterd -n "__fish_onewriterd_needs_command" -l otlp -d 'Tell this collector of OpenTelemetry (OTLP by gRPC, port 4317 mostly) of every request, in a span: https://HOST:PORT, or http:// for one on this machine' -r
complete -c onewriterd -n "__fish_onewriterd_needs_command" -l otlp-tls-ca -d 'Whom to trust as that collector: authorities (PEM) [default: the system\'s]' -r -F
complete -c onewriterd -n "__fish_onewriterd_needs_command" -l log-format -d 'What a line of the log is [default: text]' -r -f -a "text\t'For people'
json\t'A JSON object, for programs'"
complete -c onewriterd -n "__fish_onewriterd_needs_command" -l listen -d 'Serve other machines there, too; may be given more than once. Port 0 has the kernel choose: ROOT/.onewriter/listening says what' -r
complete -c onewriterd -n "__fish_onewriterd_needs_command" -l tls-cert -d 'The daemon\'s certificate, and those between it and its authority (PEM)' -r -F
complete -c onewriterd -n "__fish_onewriterd_needs_command" -l tls-key -d 'Its key (PEM)' -r -F
complete -c onewriterd -n "__fish_onewriterd_needs_command" -l tls-client-ca -d 'The authorities whose certificates clients may show (PEM). A client is `cert:NAME` then, by the first URI or DNS name of its certificate, else its common name' -r -F
complete -c onewriterd -n "__fish_onewriterd_needs_command" -l tokens -d 'Whom a bearer token names: `NAME = "sha256:DIGEST"`, one a line. A client is `token:NAME` then' -r -F
complete -c onewriterd -n "__fish_onewriterd_needs_command" -l allow -d 'Let this identity read and write everything: `cert:NAME`, `token:NAME`, `uid:1000`, `loopback`; `*` at the end stands for any rest. More than that is for `[[rules]]` in the configuration file' -r
complete -c onewriterd -n "__fish_onewriterd_needs_command" -l max-connections -d 'Connections that other machines may have open, all together [default: 4096]' -r
complete -c onewriterd -n "__fish_onewriterd_needs_command" -l handshake-timeout -d 'How long a client on another machine may take to begin: TLS, and again its first words of HTTP/2, in seconds [default: 10]' -r
complete -c onewriterd -n "__fish_onewriterd_needs_command" -l keep-alive -d 'Ask a connection from another machine so often whether it still lives, in seconds, and end it when it has not said so after as long again [default: 30]' -r
complete -c onewriterd -n "__fish_onewriterd_needs_command" -l idle-connection -d 'End a connection from another machine that has asked for nothing for so long, in seconds; 0: never [default: 3600]' -r
complete -c onewriterd -n "__fish_onewriterd_needs_command" -l cluster -d 'Be one of several daemons for the root, one of which owns it, as etcd says: its members, as in etcd://10.0.0.1:2379,10.0.0.2:2379. They see one shared filesystem' -r
complete -c onewriterd -n "__fish_onewriterd_needs_command" -l name -d 'What the root is called in the cluster' -r
complete -c onewriterd -n "__fish_onewriterd_needs_command" -l advertise -d 'What clients are told to connect to, as in https://build.example:7443 [default: where the daemon listens first]' -r
complete -c onewriterd -n "__fish_onewriterd_needs_command" -l cluster-ttl -d 'How long an owner lives without etcd, in seconds: so long after one has died, another one follows [default: 10]' -r
complete -c onewriterd -n "__fish_onewriterd_needs_command" -l config -d 'The configuration file (TOML); paths in it are relative to its directory [default: ROOT/.onewriter/daemon.toml, if there]' -r -F
complete -c onewriterd -n "__fish_onewriterd_needs_command" -l insecure-loopback -d 'Listen without TLS, which only the loopback interface allows. Whoever comes is `loopback`, unless there are tokens'
complete -c onewriterd -n "__fish_onewriterd_needs_command" -l check-config -d 'Print the settings that hold, or what is wrong with them, and exit'
complete -c onewriterd -n "__fish_onewriterd_needs_command" -l detach -d 'Go to the background, and return when clients can connect. A daemon that serves the root already is as good'
complete -c onewriterd -n "__fish_onewriterd_needs_command" -l replace -d 'Take the place of the daemon that serves the root, without a client noticing: it hands its socket over, ends what is under way, and ends. Where none runs, start'
complete -c onewriterd -n "__fish_onewriterd_needs_command" -l detached -d 'Set for the background process itself'
complete -c onewriterd -n "__fish_onewriterd_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c onewriterd -n "__fish_onewriterd_needs_command" -s V -l version -d 'Print version'
complete -c onewriterd -n "__fish_onewriterd_needs_command" -f -a "certs" -d 'Make an authority, and certificates and tokens of it, to try a server with'
complete -c onewriterd -n "__fish_onewriterd_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c onewriterd -n "__fish_onewriterd_using_subcommand certs" -l host -d 'A name or address of the server; may be given more than once [default: localhost, 127.0.0.1, ::1]' -r
complete -c onewriterd -n "__fish_onewriterd_using_subcommand certs" -l client -d 'Make NAME.pem and NAME.key for a client that is to be known as `cert:NAME`; may be given more than once' -r
complete -c onewriterd -n "__fish_onewriterd_using_subcommand certs" -l token -d 'Make NAME.token for a client that is to be known as `token:NAME`, and list it in tokens.toml; may be given more than once' -r
complete -c onewriterd -n "__fish_onewriterd_using_subcommand certs" -s h -l help -d 'Print help'
complete -c onewriterd -n "__fish_onewriterd_using_subcommand help; and not __fish_seen_subcommand_from certs help" -f -a "certs" -d 'Make an authority, and certificates and tokens of it, to try a server with'
complete -c onewriterd -n "__fish_onewriterd_using_subcommand help; and not __fish_seen_subcommand_from certs help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
