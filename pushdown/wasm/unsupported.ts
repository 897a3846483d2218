/** What a kernel cannot do (yet): the planner leaves the operator to the host and shows the reason. Never reaches a user as an error. */
export class Unsupported extends Error {
  override readonly name = 'Unsupported';
  constructor(readonly reason: string) {
    super(`not supported in a kernel: ${reason}`);
  }
}
