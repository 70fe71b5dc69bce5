import router from '@adonisjs/core/services/router';

router.get('/', () => `ok ${process.env.RESTARTINIT_GENERATION}`);
router.get('/slow', async () => {
  console.log('slow');
  await new Promise((done) => setTimeout(done, 500));
  return 'ok slow';
});
