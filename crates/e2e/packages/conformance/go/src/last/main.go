// Adds itself to the trail.
package main

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/konstellation-io/kre-runners/kre-go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"conformance/pb"
)

func handler(ctx *kre.HandlerContext, data *anypb.Any) (proto.Message, error) {
	answer := &pb.Answer{}
	if err := data.UnmarshalTo(answer); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(os.Getenv("E2E_SCRATCH"), "last ran"), nil, 0o600); err != nil {
		return nil, err
	}
	switch answer.Then {
	case "none":
		return nil, nil
	case "fail":
		return nil, errors.New("in the background")
	case "reply":
		if err := ctx.EarlyReply(&pb.Answer{Text: "late"}); err != nil {
			return nil, err
		}
	}
	answer.Trail = append(answer.Trail, "last")
	return answer, nil
}

func main() {
	kre.Start(nil, handler)
}
