export const load = () => ({ generation: process.env.RESTARTINIT_GENERATION });
