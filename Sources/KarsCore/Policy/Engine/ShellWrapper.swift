/// What is known about a program whose arguments name another program, and which one a command line makes it run.
struct ShellWrapper {
    /// Options that take the next word, or the rest of their own (`-n10`).
    var valued: Set<String> = []
    /// Options that stand alone.
    var plain: Set<String> = []
    /// Words between the options and the program.
    var operands = 0
    /// `NAME=value` words may precede the program.
    var takesAssignments = false
    /// More arguments come from elsewhere.
    var addsArguments = false
    /// The words are joined and given to a shell.
    var joinsLine = false

    private static let known: [String: ShellWrapper] = [
        "env": ShellWrapper(
            valued: ["-u", "-C", "--unset", "--chdir"], plain: ["-i", "-", "-0", "-v", "--ignore-environment"],
            takesAssignments: true),
        "sudo": ShellWrapper(
            valued: ["-u", "-g", "-h", "-p", "-C", "-r", "-t", "-U", "-D", "-R", "-T"],
            plain: ["-n", "-E", "-H", "-k", "-b", "-A", "-S", "-P"], takesAssignments: true),
        "doas": ShellWrapper(valued: ["-u", "-C"], plain: ["-n", "-L"]),
        "nohup": ShellWrapper(),
        "setsid": ShellWrapper(plain: ["-c", "-f", "-w", "--ctty", "--fork", "--wait"]),
        "command": ShellWrapper(plain: ["-p", "-v", "-V"]),
        "builtin": ShellWrapper(),
        "exec": ShellWrapper(valued: ["-a"], plain: ["-c", "-l", "-cl"]),
        "time": ShellWrapper(valued: ["-f", "-o", "--format", "--output"], plain: ["-p", "-a", "-v", "--portability"]),
        "nice": ShellWrapper(valued: ["-n", "--adjustment"]),
        "ionice": ShellWrapper(valued: ["-c", "-n", "--class", "--classdata"], plain: ["-t"]),
        "chrt": ShellWrapper(plain: ["-b", "-f", "-i", "-o", "-r"], operands: 1),
        "timeout": ShellWrapper(
            valued: ["-s", "-k", "--signal", "--kill-after"], plain: ["--foreground", "--preserve-status", "-v", "--verbose"],
            operands: 1),
        "stdbuf": ShellWrapper(valued: ["-i", "-o", "-e", "--input", "--output", "--error"]),
        "xargs": ShellWrapper(
            valued: [
                "-I", "-n", "-P", "-L", "-d", "-a", "-E", "-s", "--max-args", "--max-procs", "--delimiter", "--arg-file",
                "--replace", "--max-lines", "--max-chars",
            ],
            plain: ["-0", "-r", "-t", "-x", "-o", "--null", "--no-run-if-empty", "--verbose", "--exit", "--open-tty"],
            addsArguments: true),
        "busybox": ShellWrapper(),
        "toybox": ShellWrapper(),
        "chroot": ShellWrapper(valued: ["--userspec", "--groups"], plain: ["--skip-chdir"], operands: 1),
        "watch": ShellWrapper(
            valued: ["-n", "--interval"], plain: ["-d", "-t", "-b", "-e", "-g", "-c", "-p"], joinsLine: true),
        "eval": ShellWrapper(joinsLine: true),
    ]

    private static let shells: Set<String> = ["sh", "bash", "dash", "zsh", "ash", "ksh", "mksh", "rbash", "fish"]
    /// They run programs in ways that are not followed here, or change what later words mean.
    private static let unreadable: Set<String> = [
        "trap", "alias", "enable", "hash", "su", "script", "parallel", "flock", "unshare", "nsenter", "strace", "ltrace", "gdb",
        "setpriv", "runuser", "runcon", "capsh", "start-stop-daemon", "systemd-run", "bwrap", "firejail", "expect",
        "ld.so", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1",
    ]

    /// Records what the command at `range` starts in turn.
    static func follow(_ range: Range<Int>, hasUnknownArguments: Bool, in line: inout ShellLine, depth: Int) {
        let program = ShellLine.baseName(of: line.bytes(of: line.words[range.lowerBound]))
        // The longest name in the table; longer ones need not be made into strings.
        guard program.count <= 24, let role = roles[String(decoding: program, as: UTF8.self)] else { return }
        let rest = range.dropFirst()
        switch role {
        case .shell: followShell(rest, hasUnknownArguments, in: &line, depth: depth)
        case .find: followFind(rest, in: &line, depth: depth)
        case .unreadable: if !rest.isEmpty || hasUnknownArguments { line.appendOpaque() }
        case .wrapper(let wrapper): wrapper.follow(rest, hasUnknownArguments, in: &line, depth: depth)
        }
    }

    private enum Role {
        case shell, find, unreadable
        case wrapper(ShellWrapper)
    }

    private static let roles: [String: Role] = {
        var roles = known.mapValues { Role.wrapper($0) }
        for name in shells { roles[name] = .shell }
        for name in unreadable { roles[name] = .unreadable }
        roles["find"] = .find
        return roles
    }()

    private func follow(_ rest: Range<Int>, _ hasUnknownArguments: Bool, in line: inout ShellLine, depth: Int) {
        var index = rest.lowerBound
        options: while index < rest.upperBound {
            let word = line.words[index]
            if word.isDynamic {
                // It may come out as an option, as the program, or as nothing.
                line.appendOpaque()
                return
            }
            let bytes = line.bytes(of: word)
            if takesAssignments, ShellLine.isAssignment(bytes) {
                index += 1
                continue
            }
            guard bytes.first == UInt8(ascii: "-"), !joinsLine || bytes.count > 1 else { break }
            let text = String(decoding: bytes, as: UTF8.self)
            switch text {
            case "--":
                index += 1
                break options
            case _ where plain.contains(text): index += 1
            case _ where valued.contains(text): index += 2
            default:
                // `--option=value`, `-n10`, `-10` (nice).
                let isLong = text.hasPrefix("--")
                let stem = isLong ? String(text.prefix { $0 != "=" }) : String(text.prefix(2))
                let isNumber = !isLong && text.dropFirst().utf8.allSatisfy { $0 >= 48 && $0 <= 57 }
                guard isNumber || (valued.contains(stem) && (!isLong || text.contains("="))) else {
                    line.appendOpaque()
                    return
                }
                index += 1
            }
        }
        index += operands
        // `env -- A=1 program`: assignments may follow the end of the options.
        if takesAssignments {
            while index < rest.upperBound, !line.words[index].isDynamic,
                ShellLine.isAssignment(line.bytes(of: line.words[index]))
            {
                index += 1
            }
        }
        guard index < rest.upperBound else {
            if hasUnknownArguments { line.appendOpaque() }
            return
        }
        if joinsLine {
            Self.followJoined(index..<rest.upperBound, hasUnknownArguments, in: &line, depth: depth)
        } else if line.bytes(of: line.words[index]).contains(UInt8(ascii: "{")) {
            // The placeholder of xargs as the program.
            line.appendOpaque()
        } else {
            line.record(
                index..<rest.upperBound, hasUnknownArguments: hasUnknownArguments || addsArguments, depth: depth + 1)
        }
    }
}
