module main

go 1.14

require github.com/konstellation-io/kre/runtime-runners/kre-go v0.0.0-20200601000000-000000000000
