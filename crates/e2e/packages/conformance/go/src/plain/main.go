// Does what the request names, with plain data.
package main

import (
	"encoding/json"
	"fmt"

	"github.com/konstellation-io/kre-runners/kre-go/v2"
)

type data = map[string]interface{}

func handler(ctx *kre.HandlerContext, order data) (data, error) {
	switch order["act"] {
	case "greet":
		return data{"text": fmt.Sprintf("Hello %s!", order["text"])}, nil
	case "back":
		return data{"text": order["text"], "blob": order["blob"], "process": order["number"]}, nil
	case "on":
		return data{"act": "show", "list": []interface{}{1, data{"deep": nil}}, "real": 0.5,
			"large": int64(1<<53 + 1), "text": "☃"}, nil
	case "next":
		number, err := order["number"].(json.Number).Int64()
		return data{"process": number + 1}, err
	case "show":
		text, err := json.Marshal(order)
		return data{"text": string(text)}, err
	case "misfit":
		return data{"text": 5}, nil
	case "reply":
		return data{"text": "late"}, ctx.EarlyReply(data{"text": "early"})
	}
	return nil, fmt.Errorf("there is no act `%v`", order["act"])
}

func main() {
	kre.Start(nil, handler)
}
