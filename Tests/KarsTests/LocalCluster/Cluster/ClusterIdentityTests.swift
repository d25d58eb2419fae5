import KarsCore
import KarsTesting
import Testing

@testable import Kars

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

@Suite struct `Cluster identity` {
    @Test func `certificates are renewed in time, the authority is not`() throws {
        try withTemporaryDirectory { path in
            let now = UTCTime(seconds: 1_795_225_421)
            let first = try ClusterIdentity(directory: path, serverAddresses: [], now: now)
            let same = try ClusterIdentity(directory: path, serverAddresses: [], now: now.advanced(by: .seconds(86_400)))
            #expect(first.server.certificateChainPEM == same.server.certificateChainPEM)
            let later = try ClusterIdentity(directory: path, serverAddresses: [], now: now.advanced(by: .seconds(340 * 86_400)))
            #expect(first.server.certificateChainPEM != later.server.certificateChainPEM)
            #expect(first.authorityPEM == later.authorityPEM)
            #expect(first.tokenKey.publicKey.rawBytes == later.tokenKey.publicKey.rawBytes)
        }
    }

    @Test func `a certificate without its key is made anew`() throws {
        try withTemporaryDirectory { path in
            let first = try ClusterIdentity(directory: path, serverAddresses: [], now: .now())
            let other = try ClusterIdentity(directory: "\(path)/other", serverAddresses: [], now: .now())
            try AtomicFile.write(other.administrator.privateKeyPEM.reveal(), to: "\(path)/admin.key", mode: 0o600)
            let second = try ClusterIdentity(directory: path, serverAddresses: [], now: .now())
            #expect(second.administrator.certificateChainPEM != first.administrator.certificateChainPEM)
            #expect(second.authorityPEM == first.authorityPEM)
            try Files.remove("\(path)/ca.crt")
            let third = try ClusterIdentity(directory: path, serverAddresses: [], now: .now())
            #expect(third.authorityPEM != first.authorityPEM)
            #expect(third.administrator.certificateChainPEM != second.administrator.certificateChainPEM)
        }
    }

    @Test func `keys are for their owner alone`() throws {
        try withTemporaryDirectory { path in
            _ = try ClusterIdentity(directory: "\(path)/pki", serverAddresses: [], now: .now())
            for name in ["ca.key", "apiserver.key", "admin.key", "service-account.key"] {
                #expect(try mode(of: "\(path)/pki/\(name)") == 0o600)
            }
            #expect(try mode(of: "\(path)/pki") == 0o700)
        }
    }

    private func mode(of path: String) throws -> UInt32 {
        var status = stat()
        guard stat(path, &status) == 0 else { throw FileError("stat", path, errno: errno) }
        return status.st_mode & 0o777
    }
}
