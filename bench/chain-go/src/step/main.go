// A node that unpacks a message, adds a step and packs it again.
package main

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/konstellation-io/krt/sdk/go/kre"

	"step/chain"
)

func handler(_ *kre.HandlerContext, data *anypb.Any) (proto.Message, error) {
	work := &chain.Work{}
	if err := data.UnmarshalTo(work); err != nil {
		return nil, err
	}
	return &chain.Work{Text: work.Text, Steps: work.Steps + 1, Values: work.Values}, nil
}

func main() {
	kre.Start(nil, handler)
}
