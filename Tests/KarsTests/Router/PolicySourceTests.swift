import KarsCore
import KarsTesting
import Testing

@testable import Kars

#if canImport(Glibc)
import Glibc
#endif

@Suite struct `Policy source` {
    private func write(_ text: String, _ path: String) throws {
        try AtomicFile.write(Array(text.utf8), to: path, mode: 0o600)
    }

    @Test func `profiles are read by name, hidden and foreign files left alone`() throws {
        try withTemporaryDirectory { directory in
            for name in ["b.yml", "a.yaml", ".hidden.yaml", "notes.txt"] { try write(name, "\(directory)/\(name)") }
            let source = PolicySource(kind: .profile, directory: directory)
            #expect(try source.read().map(\.name) == ["a.yaml", "b.yml"])
        }
    }

    @Test func `of inference policies only the first counts`() throws {
        try withTemporaryDirectory { directory in
            for name in ["b.json", "a.json"] { try write(name, "\(directory)/\(name)") }
            #expect(try PolicySource(kind: .inference, directory: directory).read().map(\.name) == ["a.json"])
        }
    }

    @Test func `a missing directory is no policy, not an error`() throws {
        let source = PolicySource(kind: .profile, directory: "/nonexistent/kars")
        #expect(try source.read().isEmpty)
        #expect(source.signature().isEmpty)
    }

    @Test func `the signature follows content that is written in place, replaced, or swapped behind a link`() throws {
        try withTemporaryDirectory { directory in
            let source = PolicySource(kind: .profile, directory: "\(directory)/mount")
            try Files.createDirectories("\(directory)/mount", mode: 0o700)
            try Files.createDirectories("\(directory)/v1", mode: 0o700)
            try Files.createDirectories("\(directory)/v2", mode: 0o700)
            try write("same", "\(directory)/v1/a.yaml")
            try write("also", "\(directory)/v2/a.yaml")
            symlink("../v1", "\(directory)/mount/..data")
            symlink("..data/a.yaml", "\(directory)/mount/a.yaml")
            let first = source.signature()
            #expect(source.signature() == first)

            symlink("../v2", "\(directory)/mount/..tmp")
            rename("\(directory)/mount/..tmp", "\(directory)/mount/..data")
            let swapped = source.signature()
            #expect(swapped != first)

            try write("more", "\(directory)/v2/a.yaml")
            #expect(source.signature() != swapped)
        }
    }
}

@Suite struct `Policy status board` {
    private let now = UTCTime(seconds: 1_700_000_000)

    @Test func `an error keeps the digest that is in force and is cut`() {
        let board = PolicyStatusBoard()
        board.loaded(.profile, digest: "sha256:aa", path: "/p", at: now)
        board.failed(.profile, String(repeating: "é", count: 400), path: "/p", at: now)
        #expect(board[.profile]?.digest == "sha256:aa")
        #expect(board[.profile]?.lastError?.utf8.count == 512 + " … (cut)".utf8.count)
        board.loaded(.profile, digest: "sha256:bb", path: "/p", at: now)
        #expect(board[.profile]?.lastError == nil)
    }

    @Test func `entries are sorted by kind and cleared ones are gone`() {
        let board = PolicyStatusBoard()
        board.loaded(.inference, digest: "sha256:aa", path: "/i", at: now)
        board.loaded(.profile, digest: "sha256:bb", path: "/p", at: now)
        board.loaded(.allowlist, digest: "sha256:cc", path: "/e", at: now)
        board.cleared(.allowlist)
        #expect(
            String(decoding: board.json.encoded(), as: UTF8.self)
                == #"{"schema_version":1,"count":2,"entries":["#
                + #"{"kind":"AgtProfile","digest":"sha256:bb","source_path":"/p","loaded_at":"2023-11-14T22:13:20.000Z","last_error":null},"#
                + #"{"kind":"InferencePolicy","digest":"sha256:aa","source_path":"/i","loaded_at":"2023-11-14T22:13:20.000Z","last_error":null}"#
                + #"],"deployment_health":[]}"#)
    }
}
