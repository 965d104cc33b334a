;; Logs what lies behind its memory.
;; expect: bad return: the plugin `hostile` handed over what can't be read: string pointer/length out of bounds of memory

(func (export "notify") (param i32) (result i32)
  (call $log (i32.const 1) (i32.const 262000) (i32.const 4096))
  (i32.const 256))
