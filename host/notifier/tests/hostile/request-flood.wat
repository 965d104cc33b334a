;; Sends without end. (Zeroed memory is a GET of the empty address.)
;; expect: limit: the plugin `hostile` went over its limit of 8 requests in a call

(func (export "notify") (param i32) (result i32)
  (loop (call $http (i32.const 512) (i32.const 1024)) (br 0)) (unreachable))
