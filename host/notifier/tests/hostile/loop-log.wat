;; Loops through the host all the time: each line lets others run, and none gives it more time.
;; expect: cpu: the plugin `hostile` used up its 50 ms of CPU time

(func (export "notify") (param i32) (result i32)
  (loop (call $log (i32.const 0) (i32.const 16) (i32.const 7)) (br 0)) (unreachable))
