;; Answers with what lies behind its memory.
;; expect: bad return: the plugin `hostile` handed over what can't be read: pointer out of bounds of memory

(func (export "notify") (param i32) (result i32)
  (i32.const 262136))
