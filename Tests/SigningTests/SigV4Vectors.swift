// swift-format-ignore-file

/// Requests with known signatures: those of the Amazon S3 API Reference ("Authenticating Requests:
/// Using the Authorization Header", "… Using Query Parameters", "Transferring Payload in Multiple
/// Chunks"), and others in the same form, computed with botocore. Access key AKIAIOSFODNN7EXAMPLE, secret
/// wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY, 20130524T000000Z, us-east-1.
enum SigV4Vectors {
    struct Header: Sendable {
        let name: String, method: String, target: String
        let headers: [(String, String)]
        let canonicalRequest: String, stringToSign: String, signature: String, authorization: String
    }

    static let headers: [Header] = [
        Header(
            name: "aws-doc GET object with Range", method: "GET",
            target: "/test.txt",
            headers: [("Range", "bytes=0-9"), ("Host", "examplebucket.s3.amazonaws.com"), ("x-amz-date", "20130524T000000Z"), ("x-amz-content-sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")],
            canonicalRequest: "GET\n/test.txt\n\nhost:examplebucket.s3.amazonaws.com\nrange:bytes=0-9\nx-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\nx-amz-date:20130524T000000Z\n\nhost;range;x-amz-content-sha256;x-amz-date\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            stringToSign: "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972",
            signature: "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            authorization: "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
        Header(
            name: "aws-doc PUT object", method: "PUT",
            target: "/test$file.text",
            headers: [("Date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY"), ("Host", "examplebucket.s3.amazonaws.com"), ("x-amz-date", "20130524T000000Z"), ("x-amz-content-sha256", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072")],
            canonicalRequest: "PUT\n/test%24file.text\n\ndate:Fri, 24 May 2013 00:00:00 GMT\nhost:examplebucket.s3.amazonaws.com\nx-amz-content-sha256:44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072\nx-amz-date:20130524T000000Z\nx-amz-storage-class:REDUCED_REDUNDANCY\n\ndate;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class\n44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
            stringToSign: "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n9e0e90d9c76de8fa5b200d8c849cd5b8dc7a3be3951ddb7f6a76b4158342019d",
            signature: "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
            authorization: "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class,Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
        Header(
            name: "aws-doc GET lifecycle", method: "GET",
            target: "/?lifecycle",
            headers: [("Host", "examplebucket.s3.amazonaws.com"), ("x-amz-date", "20130524T000000Z"), ("x-amz-content-sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")],
            canonicalRequest: "GET\n/\nlifecycle=\nhost:examplebucket.s3.amazonaws.com\nx-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\nx-amz-date:20130524T000000Z\n\nhost;x-amz-content-sha256;x-amz-date\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            stringToSign: "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n9766c798316ff2757b517bc739a67f6213b4ab36dd5da2f94eaebf79c77395ca",
            signature: "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
            authorization: "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        Header(
            name: "aws-doc list objects", method: "GET",
            target: "/?max-keys=2&prefix=J",
            headers: [("Host", "examplebucket.s3.amazonaws.com"), ("x-amz-date", "20130524T000000Z"), ("x-amz-content-sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")],
            canonicalRequest: "GET\n/\nmax-keys=2&prefix=J\nhost:examplebucket.s3.amazonaws.com\nx-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\nx-amz-date:20130524T000000Z\n\nhost;x-amz-content-sha256;x-amz-date\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            stringToSign: "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\ndf57d21db20da04d7fa30298dd4488ba3a2b47ca3a489c74750e0f1e7df1b9b7",
            signature: "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
            authorization: "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
        Header(
            name: "path style, port in Host, odd key", method: "GET",
            target: "/bucket/a%20b%2Bc%25d/%C3%A9~!*'().txt",
            headers: [("Host", "127.0.0.1:9000"), ("x-amz-date", "20130524T000000Z"), ("x-amz-content-sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")],
            canonicalRequest: "GET\n/bucket/a%20b%2Bc%25d/%C3%A9~%21%2A%27%28%29.txt\n\nhost:127.0.0.1:9000\nx-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\nx-amz-date:20130524T000000Z\n\nhost;x-amz-content-sha256;x-amz-date\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            stringToSign: "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n7d39a73bcd91fff2153486b4ab92a6c6e0e218cac37b9c5a3fddfa158711a092",
            signature: "83d89beaf97ca13b21c15a73bf2e9aea7abcdedacd09dbfe10d528a517d87c73",
            authorization: "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature=83d89beaf97ca13b21c15a73bf2e9aea7abcdedacd09dbfe10d528a517d87c73"),
        Header(
            name: "double slash and dot segments are NOT normalised for s3", method: "GET",
            target: "/bucket//a/../b/./c",
            headers: [("Host", "127.0.0.1:9000"), ("x-amz-date", "20130524T000000Z"), ("x-amz-content-sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")],
            canonicalRequest: "GET\n/bucket//a/../b/./c\n\nhost:127.0.0.1:9000\nx-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\nx-amz-date:20130524T000000Z\n\nhost;x-amz-content-sha256;x-amz-date\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            stringToSign: "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n275b58b961110f2eb1393158aed3a3367a44c7c120e377ad641ebfaeabf6cd5c",
            signature: "17f59ce1ac636e538108efdb6402e24c7129762624091cec36dcf8f50eff87a4",
            authorization: "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature=17f59ce1ac636e538108efdb6402e24c7129762624091cec36dcf8f50eff87a4"),
        Header(
            name: "query needing encoding and sort", method: "GET",
            target: "/bucket?list-type=2&prefix=a/b%20c%2B%C3%A9&delimiter=/&max-keys=1000&encoding-type=url",
            headers: [("Host", "127.0.0.1:9000"), ("x-amz-date", "20130524T000000Z"), ("x-amz-content-sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")],
            canonicalRequest: "GET\n/bucket\ndelimiter=%2F&encoding-type=url&list-type=2&max-keys=1000&prefix=a%2Fb%20c%2B%C3%A9\nhost:127.0.0.1:9000\nx-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\nx-amz-date:20130524T000000Z\n\nhost;x-amz-content-sha256;x-amz-date\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            stringToSign: "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\nbf2dcf4e66af318f1230bb514e30bd64a2cff997e2da461806eede766c80d242",
            signature: "b88f5f84b54b0fe7a803711cc3a7ae905850061cd26680aad39c4ca55eff0c30",
            authorization: "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature=b88f5f84b54b0fe7a803711cc3a7ae905850061cd26680aad39c4ca55eff0c30"),
        Header(
            name: "POST delete", method: "POST",
            target: "/bucket?delete",
            headers: [("Content-MD5", "ePbrFwvNFIRnzBrIv+T8Ag=="), ("Host", "127.0.0.1:9000"), ("x-amz-date", "20130524T000000Z"), ("x-amz-content-sha256", "e2000f6b1fc1db795626ddaf9c13324157e9f56cb7820b40d7c3253a08ee5b91")],
            canonicalRequest: "POST\n/bucket\ndelete=\ncontent-md5:ePbrFwvNFIRnzBrIv+T8Ag==\nhost:127.0.0.1:9000\nx-amz-content-sha256:e2000f6b1fc1db795626ddaf9c13324157e9f56cb7820b40d7c3253a08ee5b91\nx-amz-date:20130524T000000Z\n\ncontent-md5;host;x-amz-content-sha256;x-amz-date\ne2000f6b1fc1db795626ddaf9c13324157e9f56cb7820b40d7c3253a08ee5b91",
            stringToSign: "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\nc4f0beaf35fc8159fc41e5f52c0bb740d609435feda13d365bfdf08815b3071f",
            signature: "a1e7cede5d0431aa041009ee9c80693e746ec100c0d7bb61e96f6f5448e002b0",
            authorization: "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=content-md5;host;x-amz-content-sha256;x-amz-date,Signature=a1e7cede5d0431aa041009ee9c80693e746ec100c0d7bb61e96f6f5448e002b0"),
        Header(
            name: "PUT UNSIGNED-PAYLOAD", method: "PUT",
            target: "/bucket/key",
            headers: [("Content-Type", "text/plain"), ("Host", "127.0.0.1:9000"), ("x-amz-date", "20130524T000000Z"), ("x-amz-content-sha256", "UNSIGNED-PAYLOAD")],
            canonicalRequest: "PUT\n/bucket/key\n\ncontent-type:text/plain\nhost:127.0.0.1:9000\nx-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:20130524T000000Z\n\ncontent-type;host;x-amz-content-sha256;x-amz-date\nUNSIGNED-PAYLOAD",
            stringToSign: "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n9db103d43a2124630f6a18b180d32b8d03834a135d5b82ec394b51d1aeed2476",
            signature: "1ba16819641d31c470180f4668649c570dd70fe64dff324a405717e07ad9dd15",
            authorization: "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date,Signature=1ba16819641d31c470180f4668649c570dd70fe64dff324a405717e07ad9dd15"),
        Header(
            name: "header value with inner and outer spaces", method: "PUT",
            target: "/bucket/key",
            headers: [("x-amz-meta-note", "  a   b  "), ("Host", "127.0.0.1:9000"), ("x-amz-date", "20130524T000000Z"), ("x-amz-content-sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")],
            canonicalRequest: "PUT\n/bucket/key\n\nhost:127.0.0.1:9000\nx-amz-content-sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\nx-amz-date:20130524T000000Z\nx-amz-meta-note:a b\n\nhost;x-amz-content-sha256;x-amz-date;x-amz-meta-note\nba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            stringToSign: "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n896f20ddfc2ba563dc2bf12c76fc8e1ff5a5647c748a457599a254164a4bd086",
            signature: "215e55bf81188489a617c559709970fbc1512805bc137ef860f2767dfdbcf73e",
            authorization: "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-meta-note,Signature=215e55bf81188489a617c559709970fbc1512805bc137ef860f2767dfdbcf73e"),
        Header(
            name: "PUT STREAMING-UNSIGNED-PAYLOAD-TRAILER", method: "PUT",
            target: "/bucket/key",
            headers: [("Content-Encoding", "aws-chunked"), ("x-amz-trailer", "x-amz-checksum-crc32"), ("x-amz-decoded-content-length", "11"), ("Host", "127.0.0.1:9000"), ("x-amz-date", "20130524T000000Z"), ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")],
            canonicalRequest: "PUT\n/bucket/key\n\ncontent-encoding:aws-chunked\nhost:127.0.0.1:9000\nx-amz-content-sha256:STREAMING-UNSIGNED-PAYLOAD-TRAILER\nx-amz-date:20130524T000000Z\nx-amz-decoded-content-length:11\nx-amz-trailer:x-amz-checksum-crc32\n\ncontent-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-trailer\nSTREAMING-UNSIGNED-PAYLOAD-TRAILER",
            stringToSign: "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n8f7e8deb63bd090621c663e4830518ab55d7c792fb2847240b5959c55e5f5ab0",
            signature: "6211c63e546843f47eaf59805d524402808a560b546f28495b6d296f6f05789d",
            authorization: "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-trailer,Signature=6211c63e546843f47eaf59805d524402808a560b546f28495b6d296f6f05789d"),
    ]

    struct Presigned: Sendable {
        let name: String, method: String, host: String, target: String
        let headers: [(String, String)]
        let expiresSeconds: Int64
        let signature: String
    }

    static let presigned: [Presigned] = [
        Presigned(
            name: "aws-doc presigned GET", method: "GET", host: "examplebucket.s3.amazonaws.com",
            target: "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
            headers: [], expiresSeconds: 86400,
            signature: "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"),
        Presigned(
            name: "presigned GET with response overrides", method: "GET", host: "127.0.0.1:9000",
            target: "/bucket/a%20b/%C3%A9.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=604800&X-Amz-SignedHeaders=host&response-content-disposition=attachment%3B%20filename%3D%22x%20y.txt%22&versionId=v1&X-Amz-Signature=8d547d5571d5fb93c3726deeb594d72e55c60e98b41a8f6b5b7cd31b25a8f4c0",
            headers: [], expiresSeconds: 604800,
            signature: "8d547d5571d5fb93c3726deeb594d72e55c60e98b41a8f6b5b7cd31b25a8f4c0"),
        Presigned(
            name: "presigned PUT with signed content-type", method: "PUT", host: "127.0.0.1:9000",
            target: "/bucket/up?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=content-type%3Bhost&X-Amz-Signature=4604a24df8d65410619795df6a36b6cc758b0c73d5144f616326d5048edcb48c",
            headers: [("content-type", "text/plain")], expiresSeconds: 60,
            signature: "4604a24df8d65410619795df6a36b6cc758b0c73d5144f616326d5048edcb48c"),
        Presigned(
            name: "presigned UploadPart", method: "PUT", host: "127.0.0.1:9000",
            target: "/bucket/up?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&partNumber=2&uploadId=AbC%2B%2F%3D&X-Amz-Signature=c13f48a0d1a42943e80aa8bd709e0c472caa7444cc27c725fa41fc7172c53022",
            headers: [], expiresSeconds: 60,
            signature: "c13f48a0d1a42943e80aa8bd709e0c472caa7444cc27c725fa41fc7172c53022"),
    ]

    /// 66,560 times the byte `a`, in chunks of 65,536, 1,024 and 0 bytes.
    static let chunksSeed = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
    static let chunks = [
        "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
        "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
    ]
    /// 66,560 times the byte `a`, in chunks of 65,536, 1,024 and 0 bytes.
    static let chunksWithTrailerSeed = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"
    static let chunksWithTrailer = [
        "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
        "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
        "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
    ]
    static let trailerLine = "x-amz-checksum-crc32c:sOO8/Q==\n"
    static let trailerSignature = "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435"
    static let signingKey = "dbb893acc010964918f1fd433add87c70e8b0db6be30c1fbeafefa5ec6ba8378"
}
