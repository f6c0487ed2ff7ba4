// Adds a wish to a greeting.
package main

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/konstellation-io/krt/sdk/go/kre"

	"wisher/pb"
)

func handlerInit(ctx *kre.HandlerContext) {
	ctx.Logger.Info("ready to wish")
	ctx.Set("wish", "Have a good day.")
}

func handler(ctx *kre.HandlerContext, data *anypb.Any) (proto.Message, error) {
	greeting := &pb.Greeting{}
	if err := data.UnmarshalTo(greeting); err != nil {
		return nil, fmt.Errorf("no greeting: %w", err)
	}
	ctx.Logger.Infof("a wish for %q", greeting.Text)
	return &pb.Greeting{Text: greeting.Text + " " + ctx.GetString("wish")}, nil
}

func main() {
	kre.Start(handlerInit, handler)
}
