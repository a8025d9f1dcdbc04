/**
 * One pure driver of import and production: what makes a block a valid child of its parent, and how a proposer makes
 * one. Both sides call the same functions (C-4). Follows protocol §2.1, §2.2, §4.0, §4.10, §6.2.
 */
export * from './check.ts'
export * from './evidence.ts'
export * from './head.ts'
export * from './produce.ts'
