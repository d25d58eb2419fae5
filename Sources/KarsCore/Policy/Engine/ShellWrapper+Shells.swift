/// Programs that are handed a command line: shells, what joins its words into one, and `find`.
extension ShellWrapper {
    static func followJoined(_ range: Range<Int>, _ hasUnknownArguments: Bool, in line: inout ShellLine, depth: Int) {
        if hasUnknownArguments || line.words[range].contains(where: \.isDynamic) {
            line.appendOpaque()
            return
        }
        var joined: [UInt8] = []
        for word in line.words[range] {
            if !joined.isEmpty { joined.append(UInt8(ascii: " ")) }
            joined += line.bytes(of: word)
        }
        line.recordLine(joined, depth: depth)
    }

    static func followShell(_ rest: Range<Int>, _ hasUnknownArguments: Bool, in line: inout ShellLine, depth: Int) {
        var takesString = false
        var index = rest.lowerBound
        while index < rest.upperBound {
            let word = line.words[index]
            if word.isDynamic {
                line.appendOpaque()
                return
            }
            let text = String(decoding: line.bytes(of: word), as: UTF8.self)
            guard text.hasPrefix("-") || text.hasPrefix("+"), text != "--", text.utf8.count > 1 else {
                if text == "--" || text == "-" { index += 1 }
                break
            }
            if text.hasPrefix("--") {
                guard ["--norc", "--noprofile", "--posix", "--login"].contains(text) else {
                    line.appendOpaque()
                    return
                }
                index += 1
                continue
            }
            let flags = text.dropFirst()
            if flags.contains("s") {
                line.appendOpaque()
                return
            }
            if text.hasPrefix("-"), flags.contains("c") { takesString = true }
            index += flags.contains("o") || flags.contains("O") ? 2 : 1
        }
        guard index < rest.upperBound else {
            // Commands come from standard input.
            line.appendOpaque()
            return
        }
        let operand = line.words[index]
        guard takesString else {
            // A script that is a pipe in disguise is standard input again.
            let path = line.bytes(of: operand)
            if operand.isDynamic || path.starts(with: "/dev/".utf8) || path.starts(with: "/proc/".utf8) { line.appendOpaque() }
            return
        }
        if operand.isDynamic || line.bytes(of: operand).contains(UInt8(ascii: "{")) && hasUnknownArguments {
            line.appendOpaque()
        } else {
            line.recordLine(Array(line.bytes(of: operand)), depth: depth)
        }
    }

    static func followFind(_ rest: Range<Int>, in line: inout ShellLine, depth: Int) {
        var index = rest.lowerBound
        while index < rest.upperBound {
            let word = line.words[index]
            // A quoted `$X` is one word, an unquoted one could hide an -exec; both are refused alike.
            if word.isDynamic, line.bytes(of: word).isEmpty { line.appendOpaque() }
            let text = String(decoding: line.bytes(of: word), as: UTF8.self)
            index += 1
            guard ["-exec", "-execdir", "-ok", "-okdir"].contains(text) else { continue }
            var end = index
            while end < rest.upperBound, !line.bytes(of: line.words[end]).elementsEqual(";".utf8),
                !line.bytes(of: line.words[end]).elementsEqual("+".utf8)
            {
                end += 1
            }
            if index == end || line.bytes(of: line.words[index]).contains(UInt8(ascii: "{")) {
                line.appendOpaque()
            } else {
                line.record(index..<end, hasUnknownArguments: true, depth: depth + 1)
            }
            index = end + 1
        }
    }
}
