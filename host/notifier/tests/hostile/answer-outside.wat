;; Answers with what lies behind its memory.
;; expect: trap: the plugin `hostile` crashed: pointer out of bounds of memory

(func (export "notify") (param i32) (result i32)
  (i32.const 262136))
