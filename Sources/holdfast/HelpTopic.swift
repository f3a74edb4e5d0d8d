/// What several commands have in common, told once: `holdfast help TOPIC`. Each fits a screen.
struct HelpTopic: Sendable {
    let name: String
    let text: String

    static let all: [HelpTopic] = [
        .connection, .patterns, .resume, .json, .edge, .nodeSettings, .nodeCleaning,
        .nodeMembership,
    ]

    private static let connection = HelpTopic(
        name: "connection",
        text: """
            How put, get, ls, cat, cp, mv, rm, stat, du and link reach the cluster:

              --edges LIST         edges, comma-separated: http://host:port,
                                   https://host:port. Any will do; when one fails, the
                                   next is asked
              --key KEY            access key
              --secret-file FILE   its secret, as the first line of a file; or in the
                                   variable HOLDFAST_SECRET; never an option itself
              --ca FILE            authorities that https edges are checked by, in PEM;
                                   the system's when not given
              --jobs N             files, or parts of large files, that travel at once,
                                   1 to 64 (4)
              --part-mib N         size of the parts in which a larger file travels, 5 to
                                   5120 (16, or what makes 10,000 parts of it)
              --config FILE        settings, one a line: name = value

            HOLDFAST_EDGES, HOLDFAST_KEY, HOLDFAST_PART_MIB and so on do the same.
            Options win over variables, and these over the file. holdfast init writes all
            of them for a new cluster: . DIR/env

            """)

    private static let patterns = HelpTopic(
        name: "patterns",
        text: """
            --include PATTERN and --exclude PATTERN choose among many files. They may be
            given more than once. Their order counts: the first whose pattern matches
            decides. What none matches goes along, unless there is an --include.

              *            any characters but /          **    any characters
              ?  [a-z]     one character but /           [!a]  one that is not a
              {jpg,png}    one of these                  \\*    a star, as it is

            A pattern may begin behind any / of a path; with / in front it begins at the
            folder that was named. With / at its end it matches folders only. **/ also
            stands for no folder at all. What matches a folder matches everything in it.

              --exclude .git --exclude '*.o'             neither .git nor object files
              --include '*.jpg' --include '*.png'        pictures only
              --exclude /build --include '*.swift'       Swift, but nothing in build

            """)

    private static let resume = HelpTopic(
        name: "resume",
        text: """
            put and get go on where they were interrupted, by Ctrl-C, a crash, or edges
            that do not answer: give the same command again.

            Files of more than 32 MiB travel in parts (--part-mib). put notes its uploads
            in $XDG_STATE_HOME/holdfast/uploads (~/.local/state when not set). The next run
            asks the cluster which parts it has, skips those whose SHA-256 is that of the
            file's bytes, and sends the rest. When the file has another size or time, the
            upload begins anew and the old one is given up. The cluster drops uploads that
            wait longer than 7 days for their next part.

            get writes to .holdfast-….part beside the target, with a note of what is there.
            The next run fetches the rest, as long as the object is the same version,
            checks the whole against its checksum, and only then gives the file its name.

            Many small files: --skip-same leaves alone what the other side has with the
            same content.

            """)

    private static let json = HelpTopic(
        name: "json",
        text: """
            With --json every line of the output is one JSON object. Names stay; more may
            come.

              ls       {"bucket", "created"}           without BUCKET
                       {"folder"}                      what goes on behind a /
                       {"key", "sizeBytes", "lastModified", "etag"}
              stat     {"bucket", "key", "sizeBytes", "lastModified", "etag", "contentType",
                        "sha256", "checksums": {"crc64nvme": …}, "fields": {…}}
                       {"bucket", "created"}
              du       {"name", "objects", "sizeBytes"}: folders, and last the whole
              status   {"address", "node": {…}}, as the node's /status tells it, or
                       {"address", "error"}
              verify   one object; see holdfast verify --help

            sizeBytes are whole bytes, times are UTC (2026-01-31T12:00:00Z), checksums are
            in Base64 but for sha256, which is in hexadecimal. What is not known is left
            out. Errors are lines on standard error, and the exit status says of what kind.

            """)

    private static let edge = HelpTopic(
        name: "edge",
        text: """
            Settings of holdfast node for its edge, each with what holds when it is not
            given. MIB are whole mebibytes.

              --cache-mib MIB          memory for blocks of objects (128)
              --head-cache-mib MIB     memory for what else it remembers of objects: heads,
                                       small bodies, names that are absent (32)
              --link-staleness SPAN    for how long it shows by links what it remembers of
                                       a group that it cannot reach, 2s to 60s (5s)
              --largest-body-mib MIB   the largest object, or part of one, that one request
                                       may bring (1048576, which is 1 TiB)
              --compression on|off     whether it compresses what it stores where a sample
                                       says that it pays (on); either way all is read

            """)

    private static let nodeSettings = HelpTopic(
        name: "node-settings",
        text: """
            Settings of holdfast node for its disk and its groups' logs, each with what
            holds when it is not given. MIB are whole mebibytes.

              --reserve-mib MIB        free disk space that chunks leave to metadata and to
                                       deletes (1024); at least the ballast and five
                                       quarters of --low-space-mib
              --low-space-mib MIB      free disk space below which metadata refuses writes,
                                       with 507 (256)
              --ballast-mib MIB        disk space that metadata keeps aside and gives back
                                       then, so that deletes go on (128)
              --log-kept-entries N     log entries of a group kept for voters that are slow
                                       or away (100000)
              --log-kept-mib MIB       the same in size (64). Who lacks more than either is
                                       given the whole state
              --snapshot-rate-mib MIB  how fast this node fetches such a state, a second
                                       (64)
              --names-kept N           changed names of a group, kept for edges that follow
                                       this node (65536); one further behind starts over

            """)

    private static let nodeCleaning = HelpTopic(
        name: "node-cleaning",
        text: """
            How long chunks that nobody needs stay: settings of holdfast node, as 90s, 15m,
            6h or 7d, each with what holds when it is not given.

              --deletion-grace SPAN          between the last reference to a chunk and the
                                             deletion of its copies (6h)
              --full-disk-grace SPAN         the same while a disk is full, where shorter
                                             (15m)
              --upload-lifetime SPAN         how long the upload of one object may take
                                             (5h)
              --orphan-grace SPAN            the age from which a chunk that was never
                                             committed is no upload under way (6h); more
                                             than the lifetime of uploads
              --abandoned-upload-grace SPAN  how long an upload in parts waits for its next
                                             part (7d)
              --sweep-period SPAN            between two sweeps of a group's leader (5s)
              --deletion-period SPAN         between two questions of a store what to
                                             delete (5s)
              --orphan-period SPAN           between two walks of a store over its chunks
                                             (10m)
              --audit-period SPAN            between two audits of the references to chunks
                                             (6h)

            """)

    private static let nodeMembership = HelpTopic(
        name: "node-membership", text: MembershipCommand.help)
}
