;; Wants 2 GiB, gets none and goes on: nothing has happened.
;; expect: delivered

(func (export "notify") (param i32) (result i32)
  (drop (memory.grow (i32.const 30000)))
  (i32.const 256))
