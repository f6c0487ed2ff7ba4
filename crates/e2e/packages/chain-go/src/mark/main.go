// Adds the node's name to the text, and takes a moment for it, in which it can be killed.
package main

import (
	"os"
	"time"

	"github.com/konstellation-io/krt/sdk/go/kre"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"mark/ping"
)

func handler(_ *kre.HandlerContext, data *anypb.Any) (proto.Message, error) {
	got := &ping.Ping{}
	if err := data.UnmarshalTo(got); err != nil {
		return nil, err
	}
	time.Sleep(time.Millisecond)
	return &ping.Ping{Text: got.Text + " " + os.Getenv("KRT_NODE_NAME")}, nil
}

func main() {
	kre.Start(nil, handler)
}
