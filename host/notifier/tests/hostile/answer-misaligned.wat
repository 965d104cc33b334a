;; Answers with an address on which no answer can lie.
;; expect: trap: the plugin `hostile` crashed: return pointer not aligned

(func (export "notify") (param i32) (result i32)
  (i32.const 257))
