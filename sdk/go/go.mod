module github.com/konstellation-io/krt/sdk/go

go 1.20

require google.golang.org/protobuf v1.33.0
