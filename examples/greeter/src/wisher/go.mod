module wisher

go 1.20

require (
	github.com/konstellation-io/krt/sdk/go v0.1.0
	google.golang.org/protobuf v1.36.12
)
