export async function GET() {
  console.log('slow');
  await new Promise((done) => setTimeout(done, 500));
  return new Response('ok slow');
}
