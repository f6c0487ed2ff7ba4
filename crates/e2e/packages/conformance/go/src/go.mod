module conformance

go 1.20

require (
	github.com/konstellation-io/kre-runners/kre-go v1.24.0
	github.com/konstellation-io/kre-runners/kre-go/v2 v2.1.0
	github.com/konstellation-io/krt/sdk/go v0.1.0
	google.golang.org/protobuf v1.28.1
)
