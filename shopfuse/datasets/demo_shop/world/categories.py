# ruff: noqa: E501  (a row of a table is one line)
"""The demo shop's category tree: what each leaf is called, costs, looks like and is made of.

Titles use `nouns`, shoppers type `queried_as`: the two overlap only in part, so that an encoder which knows that a
couch is a sofa finds more than a word index. This file holds tables only; terms are spelled out in vocabulary.py.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Leaf:
    """One leaf category. Materials, features and uses name terms of vocabulary.py; `silhouette` one of images.py."""

    department: str
    group: str
    name: str
    nouns: tuple[str, ...]
    queried_as: tuple[str, ...]
    median_price: float
    silhouette: str
    materials: tuple[str, ...]
    features: tuple[str, ...]
    uses: tuple[str, ...]

    @property
    def path(self) -> list[str]:
        """The category path from the root."""
        return [self.department, self.group, self.name]


# What shoppers type when they mean a whole group.
GROUP_QUERIED_AS = {
    "Shoes": ("shoes", "footwear"),
    "Clothing": ("clothes", "something to wear", "apparel"),
    "Accessories": ("fashion accessories", "accessories"),
    "Furniture": ("furniture", "furnishings"),
    "Decor": ("home decor", "decorations", "things to brighten a room"),
    "Kitchen": ("kitchenware", "kitchen stuff"),
    "Outdoor": ("camping gear", "outdoor equipment"),
    "Fitness": ("gym equipment", "workout gear"),
    "Cycling": ("cycling gear", "for cyclists"),
    "Audio": ("audio", "listen to music"),
    "Computing": ("computer equipment", "home office tech"),
    "Phones": ("phone stuff", "mobile accessories"),
}

# department / group / leaf / nouns in titles / words in queries / median price / silhouette / materials / features / uses
_ROWS = """
Fashion/Shoes/Sneakers/sneakers,low-top sneakers,court shoes/trainers,sneakers,tennis shoes,kicks/75/shoe/leather,canvas,suede,recycled polyester/breathable,lightweight,padded,non-slip/running,everyday,gym,travel
Fashion/Shoes/Boots/boots,ankle boots,lace-up boots/boots,booties,winter footwear/110/boot/leather,suede,rubber,nylon/waterproof,insulated,non-slip,padded/hiking,winter,everyday,work
Fashion/Shoes/Sandals/sandals,slides,strappy sandals/sandals,flip flops,open toe shoes/45/shoe/leather,cork,rubber,canvas/lightweight,adjustable,quick-drying,padded/beach,summer,travel,party
Fashion/Shoes/Formal shoes/oxfords,derby shoes,loafers/dress shoes,smart shoes,loafers,business shoes/125/shoe/leather,suede,velvet,canvas/padded,wide-fit,non-slip,lightweight/office,wedding,party,everyday
Fashion/Clothing/Dresses/dress,midi dress,wrap dress/dress,frock,gown/70/dress/cotton,silk,linen,viscose/stretch,machine-washable,lightweight,pockets/wedding,party,summer,office
Fashion/Clothing/T-shirts/t-shirt,crew-neck tee,jersey top/tee,t-shirt,short sleeve top/22/top/cotton,linen,viscose,recycled polyester/breathable,stretch,machine-washable,quick-drying/everyday,summer,gym,travel
Fashion/Clothing/Shirts/shirt,button-down shirt,long-sleeve shirt/shirt,blouse,button up/48/top/cotton,linen,silk,viscose/easy-iron,stretch,breathable,machine-washable/office,wedding,everyday,summer
Fashion/Clothing/Knitwear/jumper,knitted pullover,cardigan/sweater,jumper,pullover,woolly top/62/top/wool,cashmere,cotton,recycled polyester/insulated,machine-washable,oversized,pockets/winter,everyday,office,gift
Fashion/Clothing/Jackets/jacket,shell jacket,windbreaker/jacket,raincoat,anorak/98/top/nylon,recycled polyester,leather,canvas/waterproof,insulated,pockets,reflective/hiking,commuting,travel,winter
Fashion/Clothing/Coats/coat,overcoat,parka/coat,winter coat,overcoat/160/dress/wool,down,cashmere,recycled polyester/insulated,waterproof,pockets,oversized/winter,office,commuting,travel
Fashion/Clothing/Jeans/jeans,straight-leg jeans,tapered denims/jeans,denim pants,denims/68/trousers/denim,cotton,hemp,recycled polyester/stretch,oversized,machine-washable,pockets/everyday,work,travel,party
Fashion/Clothing/Trousers/trousers,chinos,pleated trousers/pants,chinos,slacks/58/trousers/cotton,linen,wool,viscose/stretch,easy-iron,quick-drying,pockets/office,hiking,summer,everyday
Fashion/Accessories/Backpacks/backpack,rucksack,daypack/backpack,rucksack,school bag,bookbag/72/bag/nylon,canvas,leather,recycled polyester/waterproof,padded,lightweight,pockets/school,travel,hiking,commuting
Fashion/Accessories/Handbags/handbag,tote bag,shoulder bag/purse,handbag,tote,ladies bag/95/bag/leather,canvas,suede,velvet/pockets,adjustable,lightweight,waterproof/party,office,everyday,gift
Fashion/Accessories/Watches/watch,wristwatch,chronograph/watch,timepiece,wrist watch/140/watch/steel,leather,titanium,ceramic/waterproof,scratch-resistant,long-battery,adjustable/office,gift,everyday,wedding
Fashion/Accessories/Scarves/scarf,shawl,wrap/scarf,neck warmer,muffler/32/banner/wool,cashmere,silk,cotton/insulated,lightweight,oversized,machine-washable/winter,gift,party,everyday
Fashion/Accessories/Hats/hat,beanie,bucket hat/hat,cap,headwear/26/dome/wool,cotton,felt,canvas/insulated,adjustable,breathable,uv-protective/winter,beach,hiking,everyday
Home/Furniture/Sofas/sofa,two-seater sofa,corner sofa/couch,sofa,settee,loveseat/820/seat/velvet,linen,leather,recycled polyester/stain-resistant,oversized,modular,machine-washable/small flats,guests,pets,home cinema
Home/Furniture/Armchairs/armchair,lounge chair,accent chair/armchair,easy chair,reading chair,recliner/330/seat/velvet,leather,rattan,linen/adjustable,oversized,stain-resistant,padded/reading,small flats,home cinema,guests
Home/Furniture/Dining tables/dining table,extending table,kitchen table/dinner table,dining table,table for eating/480/table/oak,walnut,pine,marble/extendable,scratch-resistant,foldable,stain-resistant/guests,small flats,kids room,garden
Home/Furniture/Desks/desk,writing desk,standing desk/desk,computer table,workstation/290/table/oak,bamboo,pine,steel/adjustable,foldable,scratch-resistant,modular/office,gaming,kids room,small flats
Home/Furniture/Bookcases/bookcase,shelving unit,bookshelf/bookshelf,shelves,book storage/175/rack/oak,walnut,pine,steel/modular,stackable,adjustable,scratch-resistant/office,kids room,reading,small flats
Home/Furniture/Beds/bed frame,double bed,platform bed/bed,bedstead,place to sleep/520/bed/oak,velvet,steel,pine/modular,padded,extendable,quiet/guests,kids room,small flats,pets
Home/Decor/Lamps/table lamp,floor lamp,bedside lamp/lamp,light,lighting/68/lamp/brass,ceramic,rattan,glass/dimmable,adjustable,smart,rechargeable/reading,office,kids room,gift
Home/Decor/Rugs/rug,area rug,runner rug/carpet,rug,floor covering/145/banner/wool,jute,cotton,recycled polyester/stain-resistant,machine-washable,non-slip,oversized/kids room,pets,small flats,garden
Home/Decor/Curtains/curtains,drapes,blackout panels/curtains,drapes,window covering/54/banner/linen,velvet,cotton,recycled polyester/insulated,machine-washable,easy-iron,quiet/kids room,home cinema,office,guests
Home/Decor/Cushions/cushion,throw pillow,floor cushion/pillow,cushion,sofa pillows/24/cushion/velvet,linen,cotton,wool/machine-washable,stain-resistant,oversized,padded/reading,pets,garden,gift
Home/Decor/Vases/vase,bud vase,flower vase/vase,flower pot,jar for flowers/34/vessel/ceramic,glass,brass,marble/scratch-resistant,dishwasher-safe,lightweight,oversized/gift,wedding,party,garden
Home/Kitchen/Mugs/mug,coffee mug,stoneware mug/cup,mug,coffee cup,tea cup/14/vessel/ceramic,glass,steel,bamboo/dishwasher-safe,insulated,stackable,scratch-resistant/gift,office,everyday,guests
Home/Kitchen/Pans/frying pan,saucepan,skillet/pan,skillet,cookware/58/pan/steel,cast iron,aluminium,copper/non-stick,dishwasher-safe,scratch-resistant,lightweight/cooking,baking,camping,gift
Home/Kitchen/Kettles/kettle,electric kettle,gooseneck kettle/kettle,water boiler,teapot/49/vessel/steel,glass,copper,plastic/quiet,adjustable,cordless,compact/everyday,office,gift,small flats
Home/Kitchen/Knives/chef's knife,santoku knife,carving knife/kitchen knife,chopping blade,cooks knife/64/blade/steel,titanium,ceramic,walnut/dishwasher-safe,scratch-resistant,lightweight,ergonomic/cooking,gift,camping,everyday
Home/Kitchen/Food boxes/food container,lunch box,storage box/lunchbox,tupperware,meal prep boxes/19/box/glass,plastic,steel,bamboo/dishwasher-safe,stackable,insulated,compact/school,office,camping,cooking
Sport/Outdoor/Tents/tent,dome tent,tunnel tent/tent,camping shelter,canopy/210/tent/nylon,canvas,cotton,recycled polyester/waterproof,lightweight,foldable,uv-protective/camping,hiking,festival,beach
Sport/Outdoor/Sleeping bags/sleeping bag,mummy bag,quilt bag/sleeping bag,bedroll,bivvy/105/cushion/down,nylon,fleece,cotton/insulated,lightweight,machine-washable,compact/camping,hiking,festival,winter
Sport/Outdoor/Stoves/camping stove,gas burner,trail stove/stove,portable cooker,burner/62/pan/steel,titanium,aluminium,cast iron/lightweight,foldable,compact,quiet/camping,hiking,festival,cooking
Sport/Outdoor/Bottles/water bottle,vacuum flask,drinking bottle/bottle,thermos,canteen,drinks flask/27/bottle/steel,glass,plastic,aluminium/insulated,dishwasher-safe,lightweight,leak-proof/gym,hiking,school,commuting
Sport/Fitness/Yoga mats/yoga mat,exercise mat,pilates mat/yoga mat,gym mat,stretching mat/39/banner/cork,rubber,jute,recycled polyester/non-slip,padded,lightweight,foldable/yoga,gym,travel,small flats
Sport/Fitness/Dumbbells/dumbbells,hand weights,kettlebell/weights,dumbbells,free weights/56/dumbbell/steel,rubber,cast iron,plastic/adjustable,non-slip,ergonomic,stackable/gym,small flats,yoga,everyday
Sport/Fitness/Trackers/fitness tracker,activity band,sports watch/step counter,fitness band,smartwatch/92/watch/silicone,titanium,plastic,aluminium/waterproof,long-battery,smart,lightweight/running,gym,cycling,gift
Sport/Fitness/Benches/weight bench,workout bench,step platform/bench,gym bench,home gym/135/table/steel,rubber,plastic,leather/foldable,adjustable,padded,non-slip/gym,small flats,yoga,everyday
Sport/Cycling/Bicycles/city bike,road bike,gravel bike/bicycle,bike,push bike/690/bicycle/steel,aluminium,carbon,titanium/lightweight,adjustable,foldable,reflective/commuting,cycling,travel,everyday
Sport/Cycling/Helmets/cycling helmet,bike helmet,commuter helmet/helmet,head protection,crash hat/66/dome/plastic,carbon,aluminium,silicone/lightweight,adjustable,reflective,breathable/commuting,cycling,kids room,running
Sport/Cycling/Bike lights/bike light,front light,rear light/bike lamp,cycle light,headlight/29/bottle/aluminium,plastic,silicone,steel/rechargeable,waterproof,long-battery,compact/commuting,cycling,winter,running
Electronics/Audio/Headphones/headphones,over-ear headphones,studio headset/headphones,headset,cans/145/headphones/aluminium,plastic,leather,steel/noise-cancelling,wireless,foldable,long-battery/travel,commuting,gaming,office
Electronics/Audio/Earbuds/earbuds,in-ear monitors,sport earphones/earphones,ear pods,buds/84/pair/plastic,silicone,aluminium,ceramic/noise-cancelling,wireless,waterproof,long-battery/running,gym,commuting,gift
Electronics/Audio/Speakers/bluetooth speaker,bookshelf speaker,soundbar/speaker,boombox,sound system/120/box/walnut,aluminium,plastic,bamboo/wireless,waterproof,smart,long-battery/party,home cinema,garden,beach
Electronics/Computing/Laptops/laptop,notebook computer,ultrabook/laptop,notebook,portable computer/940/laptop/aluminium,plastic,carbon,titanium/lightweight,long-battery,quiet,fast-charging/office,gaming,school,travel
Electronics/Computing/Keyboards/keyboard,mechanical keyboard,compact keyboard/keyboard,typing board,keypad/82/slab/aluminium,plastic,bamboo,walnut/wireless,quiet,compact,ergonomic/gaming,office,travel,school
Electronics/Computing/Mice/mouse,wireless mouse,trackball/mouse,pointing device,clicker/43/dome/plastic,aluminium,bamboo,silicone/wireless,quiet,ergonomic,rechargeable/gaming,office,travel,school
Electronics/Computing/Monitors/monitor,curved monitor,desktop display/screen,display,monitor/265/monitor/aluminium,plastic,steel,bamboo/adjustable,fast-charging,quiet,oversized/gaming,office,home cinema,small flats
Electronics/Phones/Smartphones/smartphone,5g handset,mobile phone/cell phone,mobile,smartphone/560/phone/aluminium,glass,ceramic,plastic/waterproof,fast-charging,long-battery,scratch-resistant/everyday,travel,gaming,gift
Electronics/Phones/Cases/phone case,bumper case,wallet case/phone cover,protective cover,mobile sleeve/21/phone/silicone,leather,plastic,bamboo/shock-absorbing,waterproof,lightweight,non-slip/everyday,gift,travel,beach
Electronics/Phones/Chargers/charger,charging dock,power bank/charger,power adapter,portable battery/34/slab/plastic,aluminium,bamboo,silicone/fast-charging,wireless,compact,foldable/travel,office,commuting,everyday
"""


def _leaf(row: str) -> Leaf:
    department, group, name, nouns, queried_as, price, silhouette, materials, features, uses = row.split("/")
    return Leaf(
        department,
        group,
        name,
        tuple(nouns.split(",")),
        tuple(queried_as.split(",")),
        float(price),
        silhouette,
        tuple(materials.split(",")),
        tuple(features.split(",")),
        tuple(uses.split(",")),
    )


LEAVES = tuple(_leaf(row) for row in _ROWS.strip().splitlines())


def leaves_for(items: int) -> tuple[Leaf, ...]:
    """The leaves of a shop of this many items: about 25 items or more each, every group present before any is complete."""
    wanted = min(len(LEAVES), max(12, items // 25))
    groups = list(GROUP_QUERIED_AS)
    rank_in_group = [sum(other.group == leaf.group for other in LEAVES[:n]) for n, leaf in enumerate(LEAVES)]
    order = sorted(range(len(LEAVES)), key=lambda n: (rank_in_group[n], groups.index(LEAVES[n].group)))
    return tuple(LEAVES[n] for n in sorted(order[:wanted]))
