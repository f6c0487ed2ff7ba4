module etl

go 1.14

require (
	github.com/golang/protobuf v1.4.3
	github.com/konstellation-io/kre/libs/simplelogger v0.0.0-20200624124103-7cbd0ab2c34e
	github.com/konstellation-io/kre/runners/kre-go v0.0.0-20210312104514-c5a4d7a3a8cb
	google.golang.org/protobuf v1.25.0
)
