/** The compiled module of `mcl-wasm` under its wrapper. What of it is called stands in bn254.ts. */
declare module 'mcl-wasm/dist/mcl_c.js' {
  const createModule: (environment: {
    cryptoGetRandomValues(bytes: Uint8Array): void
  }) => Promise<unknown>
  export = createModule
}
