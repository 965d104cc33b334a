;; Has data that do not fit into its memory.
;; expect: trap: the plugin `hostile` crashed: wasm trap: out of bounds memory access

(data (i32.const 262140) "longer than four bytes")
