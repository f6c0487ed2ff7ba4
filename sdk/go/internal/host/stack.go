package host

import (
	"fmt"
	"reflect"
	"runtime/debug"
	"strings"
)

// ours begins the names of this SDK's functions.
var ours = strings.TrimSuffix(reflect.TypeOf(Host{}).PkgPath(), "/internal/host") + "/"

// describe tells of a panic with its stack; it is for the function that recovers. Without a value
// user code has ended its goroutine.
func describe(value any) string {
	if value == nil {
		return errGoexit.Error()
	}
	return fmt.Sprintf("panic: %v\n%s", value, userFrames(string(debug.Stack())))
}

// userFrames leaves of a stack what is user code's: what lies between the panic and this SDK.
func userFrames(stack string) string {
	_, stack, _ = strings.Cut(stack, "\npanic(")
	_, stack, _ = strings.Cut(stack, "\n") // the arguments
	_, stack, _ = strings.Cut(stack, "\n") // the place of panic itself
	lines := strings.SplitAfter(stack, "\n")
	for index := 0; index+1 < len(lines); index += 2 {
		if strings.HasPrefix(lines[index], ours) {
			lines = lines[:index]
		}
	}
	return strings.TrimRight(strings.Join(lines, ""), "\n")
}
