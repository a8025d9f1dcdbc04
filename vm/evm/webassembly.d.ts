/** What is used here of WebAssembly, which the runtime has and the types of ECMAScript leave out. */
declare namespace WebAssembly {
  interface Memory {
    readonly buffer: ArrayBuffer
  }
  interface Instance {
    readonly exports: unknown
  }
  function instantiate(module: Uint8Array<ArrayBuffer>): Promise<{ readonly instance: Instance }>
}
