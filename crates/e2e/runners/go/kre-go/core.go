//go:build !jetstream

package kre

import "github.com/nats-io/nats.go"

// subscribe receives messages like runners 1.x and 2.0: by plain NATS, with answers to the request's inbox.
func (r *runner) subscribe(input string) {
	r.isLast = r.output == ""
	r.publish = r.conn.Publish
	r.toClient = func(request *KreNatsMessage) string { return request.Reply }
	_, err := r.conn.QueueSubscribe(input, "queue_"+input, func(message *nats.Msg) {
		if len(message.Header) > 0 {
			choke("a message has headers: %v", message.Header)
		}
		r.process(message.Data, message.Reply)
	})
	if err != nil {
		choke("Error subscribing to the NATS subject: %s", err)
	}
}
