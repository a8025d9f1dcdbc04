/**
 * Signing together (protocol §5.4, §5.5): what a member offers and gives, how whoever coordinates gets from offers to signatures (ROAST), and when
 * parts convict the member that signed them. Pure; nothing here knows what is signed. Kept invariant: nonces are used once, an
 * honest member is never convicted, and t honest members among n come to the signatures whatever the others do.
 */
export * from './coordinator.ts'
export * from './session.ts'
