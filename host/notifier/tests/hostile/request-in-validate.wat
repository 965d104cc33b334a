;; Sends while it looks at the settings, where nothing can be sent.
;; expect: validated: 0
;; call: validate

(data (i32.const 1024) "http://127.0.0.1:PPPPP/good")
(data (i32.const 512) "\00\00\00\00\00\04\00\00\1b\00\00\00")
(func (export "validate") (param i32 i32) (result i32)
  (call $http (i32.const 512) (i32.const 768))
  ;; `denied`, or it crashes.
  (if (i32.ne (i32.load8_u (i32.const 768)) (i32.const 1)) (then (unreachable)))
  (if (i32.load8_u (i32.const 776)) (then (unreachable)))
  (i32.const 256))
