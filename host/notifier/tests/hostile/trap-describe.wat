;; Crashes while it says what it is.
;; expect: trap: the plugin `hostile` crashed: wasm trap: wasm `unreachable` instruction executed
;; call: describe

(func (export "describe") (result i32)
  (unreachable))
